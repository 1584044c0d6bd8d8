//! Which functions there are.

use std::collections::BTreeSet;

use helm_chart::render::functions;

/// The functions of Helm 3.22.0: those of Sprig 3.3.0 without `env` and `expandenv`, and its own.
/// Those of Go's text/template are not among them.
const NAMES: &str = "
    abbrev abbrevboth add add1 add1f addf adler32sum ago all any append atoi b32dec b32enc
    b64dec b64enc base bcrypt biggest buildCustomCert camelcase cat ceil chunk clean coalesce
    compact concat contains date dateInZone dateModify date_in_zone date_modify decryptAES
    deepCopy deepEqual default derivePassword dict dig dir div divf duration durationRound empty
    encryptAES ext fail first float64 floor fromJson fromJsonArray fromToml fromYaml
    fromYamlArray genCA genCAWithKey genPrivateKey genSelfSignedCert genSelfSignedCertWithKey
    genSignedCert genSignedCertWithKey get getHostByName has hasKey hasPrefix hasSuffix hello
    htmlDate htmlDateInZone htpasswd include indent initial initials int int64 isAbs join
    kebabcase keys kindIs kindOf last list lookup lower max maxf merge mergeOverwrite min minf
    mod mul mulf mustAppend mustChunk mustCompact mustDateModify mustDeepCopy mustFirst
    mustFromJson mustHas mustInitial mustLast mustMerge mustMergeOverwrite mustPrepend mustPush
    mustRegexFind mustRegexFindAll mustRegexMatch mustRegexReplaceAll mustRegexReplaceAllLiteral
    mustRegexSplit mustRest mustReverse mustSlice mustToDate mustToJson mustToPrettyJson
    mustToRawJson mustUniq mustWithout must_date_modify nindent nospace now omit osBase osClean
    osDir osExt osIsAbs pick pluck plural prepend push quote randAlpha randAlphaNum randAscii
    randBytes randInt randNumeric regexFind regexFindAll regexMatch regexQuoteMeta
    regexReplaceAll regexReplaceAllLiteral regexSplit repeat replace required rest reverse round
    semver semverCompare seq set sha1sum sha256sum sha512sum shuffle slice snakecase sortAlpha
    split splitList splitn squote sub subf substr swapcase ternary title toDate toDecimal toJson
    toPrettyJson toRawJson toString toStrings toToml toYaml toYamlPretty tpl trim trimAll
    trimPrefix trimSuffix trimall trunc tuple typeIs typeIsLike typeOf uniq unixEpoch unset
    until untilStep untitle upper urlJoin urlParse uuidv4 values without wrap wrapWith
";

#[test]
fn the_functions_are_those_of_helm() {
    let ours: BTreeSet<&str> = functions::all().map(|func| func.name).collect();
    let helms: BTreeSet<&str> = NAMES.split_whitespace().collect();
    assert_eq!(ours, helms);
}
