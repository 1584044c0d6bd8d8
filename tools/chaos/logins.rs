//! The logins of one run's registries, and what must stand in no output.

use std::time::Duration;

use base64::Engine as _;
use lab::registry::Auth;

use crate::draw::Login;

fn password(who: &str) -> String {
    format!("hunter2-of-{who}")
}

/// The login of a side, as Docker's configuration file has it.
pub(crate) fn basic(who: &str) -> String {
    let text = format!("robot:{}", password(who));
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// What a registry asks for.
pub(crate) fn auth(login: Login, who: &str, lifetime: Duration) -> Auth {
    match login {
        Login::None => Auth::Anonymous,
        Login::Basic => Auth::basic("robot", &password(who)),
        Login::Bearer => Auth::Bearer {
            username: "robot".to_owned(),
            password: password(who),
            anonymous: false,
            lifetime,
        },
        Login::Public => Auth::public(lifetime),
    }
}

/// Passwords, what they look like in a header, and the beginnings of what the lab issues.
pub(crate) fn secrets() -> Vec<String> {
    let given = ["source", "target"].into_iter();
    let mut secrets: Vec<String> = given.flat_map(|who| [password(who), basic(who)]).collect();
    let issued = base64::engine::general_purpose::STANDARD_NO_PAD.encode("AWS:lab-password");
    let beginnings = [
        "lab-token-",
        "lab-password-",
        "lab-secret",
        issued.trim_end_matches(|c: char| !c.is_alphanumeric()),
    ];
    secrets.extend(beginnings.map(|text| text[..text.len() - 1].to_owned()));
    secrets
}
