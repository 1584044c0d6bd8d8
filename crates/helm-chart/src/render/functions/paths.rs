//! Paths with slashes, as Go's package path reads them; those of the system are the same here.

use super::super::func::{Func, Param};
use super::args::{string, text};
use super::fixed;
use Param::String as Text;

pub(super) const FUNCS: &[Func] = &[
    fixed("base", &[Text], |ctx, args| {
        string(ctx, base(text(args, 0)))
    }),
    fixed("osBase", &[Text], |ctx, args| {
        string(ctx, base(text(args, 0)))
    }),
    fixed("dir", &[Text], |ctx, args| string(ctx, dir(text(args, 0)))),
    fixed("osDir", &[Text], |ctx, args| {
        string(ctx, dir(text(args, 0)))
    }),
    fixed("clean", &[Text], |ctx, args| {
        string(ctx, clean(text(args, 0)))
    }),
    fixed("osClean", &[Text], |ctx, args| {
        string(ctx, clean(text(args, 0)))
    }),
    fixed("ext", &[Text], |ctx, args| string(ctx, ext(text(args, 0)))),
    fixed("osExt", &[Text], |ctx, args| {
        string(ctx, ext(text(args, 0)))
    }),
    fixed("isAbs", &[Text], |_, args| {
        Ok(text(args, 0).starts_with('/').into())
    }),
    fixed("osIsAbs", &[Text], |_, args| {
        Ok(text(args, 0).starts_with('/').into())
    }),
];

fn base(path: &str) -> &str {
    if path.is_empty() {
        return ".";
    }
    match path.trim_end_matches('/').rsplit('/').next() {
        None | Some("") => "/",
        Some(name) => name,
    }
}

fn dir(path: &str) -> String {
    clean(path.rfind('/').map_or("", |slash| &path[..=slash]))
}

fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    match (rooted, parts.join("/")) {
        (true, path) => format!("/{path}"),
        (false, path) if path.is_empty() => ".".to_owned(),
        (false, path) => path,
    }
}

fn ext(path: &str) -> &str {
    let name = path.rfind('/').map_or(path, |slash| &path[slash + 1..]);
    name.rfind('.').map_or("", |dot| &name[dot..])
}
