//! Types and kinds.

use super::super::func::{Func, Param};
use super::args::{any, text};
use super::{equal, fixed};
use Param::{Any, String as Text};

pub(super) const FUNCS: &[Func] = &[
    fixed("typeOf", &[Any], |_, args| {
        Ok(any(args, 0).type_name().as_ref().into())
    }),
    fixed("typeIs", &[Text, Any], |_, args| {
        Ok((any(args, 1).type_name() == text(args, 0)).into())
    }),
    fixed("typeIsLike", &[Text, Any], |_, args| {
        let name = any(args, 1).type_name();
        Ok(
            (name.strip_prefix('*').unwrap_or(&name) == text(args, 0) || name == text(args, 0))
                .into(),
        )
    }),
    fixed("kindOf", &[Any], |_, args| Ok(any(args, 0).kind().into())),
    fixed("kindIs", &[Text, Any], |_, args| {
        Ok((any(args, 1).kind() == text(args, 0)).into())
    }),
    fixed("deepEqual", &[Any, Any], |ctx, args| {
        Ok(equal::equal(ctx, any(args, 0), any(args, 1))?.into())
    }),
];
