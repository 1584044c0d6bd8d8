//! Outcomes -> published documents: files, the result document in its bucket, the module's metadata.

mod documents;
mod folder;
mod history;
mod kept;
mod metadata;
mod publication;
mod report;
mod results;

pub use documents::{
    check_out, check_writable_out, remove_result, unusable_out, write_file, write_pairs,
    write_plan, write_proof, write_result,
};
pub use folder::{keep_in, kept_file, kept_in, remove_surplus_in};
pub use kept::{
    BucketResult, KEPT, KeptName, ResultSet, bucket_results, can_be_kept, find, is_proof_of, mark,
    names_proof,
};
pub use metadata::MODULE_METADATA;
pub use publication::{Publication, Published, page_key, project_bucket, proof_key};
pub use report::{report, write_report};
pub use results::{Named, Results};

use documents::write;
use publication::OBJECT_END;
