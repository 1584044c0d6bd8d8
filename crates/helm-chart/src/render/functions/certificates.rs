//! Keys and certificates: texts of the right shape that follow from the stand-in and the arguments.
//! They are no keys, and nothing can be signed or read with them.

use std::any::Any;
use std::net::IpAddr;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::func::{Context, Failure, Func, Param};
use super::super::text::to_bytes;
use super::super::value::{Object, Str, Value};
use super::args::{any, error, int, print, string, text};
use super::encoding::base64_decode;
use super::random::Random;
use super::{Output, fixed};
use Param::{Int, List, String as Text};

const CERTIFICATE: Param = Param::Named("sprig.certificate");

pub(super) const FUNCS: &[Func] = &[
    fixed("genPrivateKey", &[Text], |ctx, args| {
        let (label, size) = match text(args, 0) {
            "" | "rsa" => ("RSA PRIVATE KEY", 2348),
            "dsa" => ("DSA PRIVATE KEY", 858),
            "ecdsa" => ("EC PRIVATE KEY", 121),
            "ed25519" => ("PRIVATE KEY", 48),
            kind => return string(ctx, format!("Unknown type {kind}")),
        };
        let key = pem(ctx, label, size, "genPrivateKey");
        string(ctx, key)
    }),
    fixed("genCA", &[Text, Int], |ctx, args| {
        let key = new_key(ctx, text(args, 0));
        issue(ctx, args, key)
    }),
    fixed("genCAWithKey", &[Text, Int, Text], |ctx, args| {
        let key = private_key(text(args, 2)).map_err(|problem| parsing_key(&problem))?;
        issue(ctx, args, key)
    }),
    fixed(
        "genSelfSignedCert",
        &[Text, List, List, Int],
        |ctx, args| {
            check_names(ctx, args)?;
            let key = new_key(ctx, text(args, 0));
            issue(ctx, args, key)
        },
    ),
    fixed(
        "genSelfSignedCertWithKey",
        &[Text, List, List, Int, Text],
        |ctx, args| {
            let key = private_key(text(args, 4)).map_err(|problem| parsing_key(&problem))?;
            check_names(ctx, args)?;
            issue(ctx, args, key)
        },
    ),
    fixed(
        "genSignedCert",
        &[Text, List, List, Int, CERTIFICATE],
        |ctx, args| {
            check_issuer(any(args, 4))?;
            check_names(ctx, args)?;
            let key = new_key(ctx, text(args, 0));
            issue(ctx, args, key)
        },
    ),
    fixed(
        "genSignedCertWithKey",
        &[Text, List, List, Int, CERTIFICATE, Text],
        |ctx, args| {
            let key = private_key(text(args, 5)).map_err(|problem| parsing_key(&problem))?;
            check_issuer(any(args, 4))?;
            check_names(ctx, args)?;
            issue(ctx, args, key)
        },
    ),
    fixed("buildCustomCert", &[Text, Text], |ctx, args| {
        let decode = |index: usize, what: &str| {
            decoded_text(text(args, index))
                .ok_or_else(|| error(format!("unable to decode base64 {what}")))
        };
        let cert = decode(0, "certificate")?;
        let key = decode(1, "private key")?;
        if Pem::parse(&cert).is_none() {
            return Err(error("unable to decode certificate"));
        }
        private_key(&key)
            .map_err(|problem| error(format!("error parsing private key: {problem}")))?;
        ctx.spend(cert.len() + key.len())?;
        Ok(Certificate { cert, key }.into_value())
    }),
];

/// Sprig's `certificate`: two texts.
#[derive(Debug)]
struct Certificate {
    cert: Str,
    key: Str,
}

impl Certificate {
    fn into_value(self) -> Value {
        Value::Object(Rc::new(self))
    }
}

impl Object for Certificate {
    fn type_name(&self) -> &'static str {
        "sprig.certificate"
    }

    fn kind(&self) -> &'static str {
        "struct"
    }

    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "Cert" => Some(Value::String(self.cert.clone())),
            "Key" => Some(Value::String(self.key.clone())),
            _ => None,
        }
    }

    fn fields(&self) -> Option<Vec<(Str, Value)>> {
        let fields = [("Cert", &self.cert), ("Key", &self.key)];
        Some(
            fields
                .map(|(name, text)| (name.into(), Value::String(text.clone())))
                .into(),
        )
    }

    fn go_string(&self) -> Option<String> {
        None
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A certificate for the name in the first argument, with its key.
fn issue(ctx: &mut dyn Context, args: &[Value], key: Str) -> Output {
    let days = args
        .iter()
        .position(|arg| matches!(arg, Value::Int(..)))
        .unwrap_or(1);
    let purpose = format!(
        "certificate {} {} {}",
        text(args, 0),
        args.len(),
        int(args, days)
    );
    let cert = pem(ctx, "CERTIFICATE", 800, &purpose).into();
    ctx.spend(4096)?;
    Ok(Certificate { cert, key }.into_value())
}

fn new_key(ctx: &dyn Context, name: &str) -> Str {
    pem(ctx, "RSA PRIVATE KEY", 1190, &format!("key {name}")).into()
}

/// What looks like PEM of so many bytes of DER.
fn pem(ctx: &dyn Context, label: &str, size: usize, purpose: &str) -> String {
    let length = u16::try_from(size - 4).unwrap_or(0).to_be_bytes();
    let header: &[u8] = if size > 260 {
        &[0x30, 0x82, length[0], length[1]]
    } else {
        &[0x30, length[1]]
    };
    let body = Random::new(ctx, purpose).bytes(size - header.len());
    Pem {
        label: label.to_owned(),
        encoded: STANDARD.encode([header, &body].concat()),
    }
    .text()
}

/// A PEM block.
struct Pem {
    label: String,
    encoded: String,
}

impl Pem {
    /// The first block of a text.
    fn parse(text: &str) -> Option<Self> {
        let start = text
            .find("-----BEGIN ")
            .filter(|at| *at == 0 || text[..*at].ends_with('\n'))?;
        let (label, after) = text[start + 11..].split_once("-----")?;
        let (body, _) = after.split_once(&format!("\n-----END {label}-----"))?;
        // Headers end with an empty line.
        let body = if body.contains(':') {
            body.split_once("\n\n")?.1
        } else {
            body
        };
        let encoded: String = body.split_ascii_whitespace().collect();
        base64_decode(encoded.as_bytes()).ok()?;
        Some(Self {
            label: label.to_owned(),
            encoded,
        })
    }

    fn text(&self) -> String {
        let lines: Vec<&str> = (0..self.encoded.len())
            .step_by(64)
            .map(|start| &self.encoded[start..self.encoded.len().min(start + 64)])
            .collect();
        let label = &self.label;
        format!(
            "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
            lines.join("\n")
        )
    }
}

/// Sprig's `parsePrivateKeyPEM`, as far as the label goes: the key as it is written again.
fn private_key(text: &str) -> Result<Str, String> {
    let Some(block) = Pem::parse(text) else {
        return Err("no PEM data in input".to_owned());
    };
    if block.label != "PRIVATE KEY" {
        let Some(kind) = block.label.strip_suffix(" PRIVATE KEY") else {
            return Err(format!(
                "no private key data in PEM block of type {}",
                block.label
            ));
        };
        if !matches!(kind, "RSA" | "EC" | "DSA") {
            return Err(format!("invalid private key type {kind}"));
        }
    }
    Ok(block.text().into())
}

fn parsing_key(problem: &str) -> Failure {
    error(format!("parsing private key: {problem}"))
}

fn check_issuer(issuer: &Value) -> Result<(), Failure> {
    let part = |name: &str| match issuer {
        Value::Object(object) => object.field(name),
        _ => None,
    };
    let (Some(Value::String(cert)), Some(Value::String(key))) = (part("Cert"), part("Key")) else {
        return Err(error("unable to decode certificate"));
    };
    if Pem::parse(&cert).is_none() {
        return Err(error("unable to decode certificate"));
    }
    private_key(&key).map_err(|problem| error(format!("error parsing private key: {problem}")))?;
    Ok(())
}

/// Checks the addresses and names of a certificate.
fn check_names(ctx: &mut dyn Context, args: &[Value]) -> Result<(), Failure> {
    for address in super::args::elements(any(args, 1))
        .unwrap_or_default()
        .iter()
    {
        let Value::String(text) = address else {
            let printed = print(ctx, address)?;
            return Err(error(format!(
                "error parsing ip: {printed} is not a string"
            )));
        };
        if text.parse::<IpAddr>().is_err() {
            return Err(error(format!("error parsing ip: {text}")));
        }
    }
    for name in super::args::elements(any(args, 2))
        .unwrap_or_default()
        .iter()
    {
        if !matches!(name, Value::String(_)) {
            let printed = print(ctx, name)?;
            return Err(error(format!(
                "error processing alternate dns name: {printed} is not a string"
            )));
        }
    }
    Ok(())
}

/// Base64 that holds a text.
fn decoded_text(encoded: &str) -> Option<Str> {
    let bytes = base64_decode(&to_bytes(encoded)).ok()?;
    Some(super::super::text::from_bytes(&bytes))
}
