//! The XML of responses, as a tree.

use std::borrow::Cow;

use xmlparser::{ElementEnd, Token, Tokenizer};

/// The most levels of elements.
const DEEPEST: usize = 64;

/// An element. Attributes and namespaces are left out: no response of these services needs them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Element {
    name: String,
    text: String,
    children: Vec<Element>,
}

/// Reads a document.
///
/// # Errors
/// What is not XML, or is too deep.
pub(super) fn parse(text: &str) -> Result<Element, String> {
    let mut open = vec![Element::default()];
    for token in Tokenizer::from(text) {
        match token.map_err(|error| format!("the response is not XML: {error}"))? {
            Token::ElementStart { local, .. } => {
                if open.len() > DEEPEST {
                    return Err(format!("the response has more than {DEEPEST} levels"));
                }
                let name = local.as_str().to_owned();
                open.push(Element {
                    name,
                    ..Element::default()
                });
            }
            Token::ElementEnd {
                end: ElementEnd::Empty,
                ..
            } => close(&mut open)?,
            Token::ElementEnd {
                end: ElementEnd::Close(_, local),
                ..
            } => {
                if open.last().is_none_or(|last| last.name != local.as_str()) {
                    return Err(format!("the response closes {local} where it is not open"));
                }
                close(&mut open)?;
            }
            Token::Text { text } => {
                if let Some(last) = open.last_mut() {
                    last.text.push_str(&unescaped(text.as_str()));
                }
            }
            Token::Cdata { text, .. } => {
                if let Some(last) = open.last_mut() {
                    last.text.push_str(text.as_str());
                }
            }
            _ => {}
        }
    }
    match open.as_mut_slice() {
        [document] if document.children.len() == 1 => Ok(document.children.remove(0)),
        _ => Err("the response ends early".to_owned()),
    }
}

fn close(open: &mut Vec<Element>) -> Result<(), String> {
    let done = open.pop().filter(|_| !open.is_empty());
    let done = done.ok_or("the response closes an element that is not open")?;
    if let Some(parent) = open.last_mut() {
        parent.children.push(done);
    }
    Ok(())
}

/// A text without its entities.
fn unescaped(text: &str) -> Cow<'_, str> {
    let mut parts = text.split('&');
    let first = parts.next().unwrap_or_default();
    if first.len() == text.len() {
        return Cow::Borrowed(text);
    }
    let mut plain = first.to_owned();
    for part in parts {
        let entity = part.split_once(';').and_then(|(name, rest)| {
            let letter = match name {
                "amp" => Some('&'),
                "lt" => Some('<'),
                "gt" => Some('>'),
                "quot" => Some('"'),
                "apos" => Some('\''),
                _ => {
                    let number = name.strip_prefix('#')?;
                    let number = match number.strip_prefix('x') {
                        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                        None => number.parse().ok()?,
                    };
                    char::from_u32(number)
                }
            };
            Some((letter?, rest))
        });
        let (letter, rest) = entity.unwrap_or(('&', part));
        plain.push(letter);
        plain.push_str(rest);
    }
    Cow::Owned(plain)
}

impl Element {
    /// The first element of a name in document order, itself included.
    pub(super) fn find(&self, name: &str) -> Option<&Self> {
        if self.name == name {
            return Some(self);
        }
        self.children.iter().find_map(|child| child.find(name))
    }

    /// The text of a child.
    pub(super) fn text_of(&self, name: &str) -> Option<&str> {
        let child = self.children.iter().find(|child| child.name == name)?;
        Some(child.text.trim()).filter(|text| !text.is_empty())
    }

    /// The items of the first list of a name.
    pub(super) fn items(&self, list: &str) -> &[Self] {
        self.find(list).map_or(&[], |list| list.children.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_a_tree() {
        let text = r#"<?xml version="1.0"?><R xmlns="x"><L><member><A>a &amp; &#x41;&z</A><B/></member><member/></L></R>"#;
        let root = parse(text).unwrap();
        let items = root.items("L");
        assert_eq!(items.len(), 2);
        assert_eq!(items[0].text_of("A"), Some("a & A&z"));
        assert_eq!(items[0].text_of("B"), None);
        assert!(root.items("M").is_empty());
    }

    #[test]
    fn what_is_not_xml_is_an_error() {
        let deep = "<a>".repeat(100);
        for text in ["", "no", "<a>", "<a></b>", "</a>", "<a/><b/>", &deep] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
