//! What a command reads before it opens anything: settings, data files, and the bundle in their place.

use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::bundle::{self, Bundle};
use crate::files;
use crate::inventory::Inventory;
use crate::problem::{Problem, Problems};
use crate::publish;
use crate::reference::Prefix;
use crate::settings::{DataFiles, Environment, Flags, Settings, TargetChoice};

use super::Session;

/// Settings and inventory, with the problems of both at once.
///
/// # Errors
/// Every problem of parameters and data files, and an output folder that cannot be used.
pub fn read(flags: &Flags, environment: &Environment) -> Result<(Settings, Inventory), Problems> {
    let settings = Settings::new(flags, environment);
    let inventory = DataFiles::new(flags, environment).and_then(|files| Inventory::read(&files));
    let (settings, inventory) = Problems::both(settings, inventory)?;
    publish::check_out(&settings.out)?;
    for warning in &inventory.warnings {
        tracing::warn!("{warning}");
    }
    Ok((settings, inventory))
}

/// Settings and inventory of a command that needs no target, and where the data files are, with the problems of
/// all at once. The caller logs the warnings of the inventory.
///
/// # Errors
/// Every problem of parameters and data files.
pub fn read_without_target(
    flags: &Flags,
    environment: &Environment,
) -> Result<(Settings, Inventory, DataFiles), Problems> {
    let settings = Settings::without_target(flags, environment);
    let files = DataFiles::new(flags, environment).and_then(|files| {
        let inventory = Inventory::read(&files)?;
        Ok((inventory, files))
    });
    let (settings, (inventory, files)) = Problems::both(settings, files)?;
    Ok((settings, inventory, files))
}

/// Checks what blobs and names are written to, if the target is a folder.
fn check_target(
    settings: &Settings,
    check: impl Fn(&Path) -> Result<(), String>,
) -> Result<(), Problems> {
    let TargetChoice::Given(Prefix::Layout { dir }) = &settings.target else {
        return Ok(());
    };
    let checked = check(&dir.join("blobs/sha256")).and_then(|()| check(dir));
    checked.map_err(|why| {
        let problem = Problem::input(format!("--registry-prefix oci:{}", dir.display()), why);
        let remedy = "name a folder that can be written to, such as oci:mirror, or a registry";
        problem.remedy(remedy).into()
    })
}

/// What a deployment reads: settings, inventory, and the bundle if there is one.
pub struct Sources {
    /// The settings.
    pub settings: Settings,
    inventory: Inventory,
    bundle: Option<Bundle>,
}

/// Sources with the session in which they are read.
pub struct OpenSources {
    /// The session.
    pub session: Session,
    /// What the data files, or those of the bundle, have.
    pub inventory: Inventory,
    /// The only source of all artifacts, where there is one.
    pub bundle: Option<Bundle>,
}

impl Sources {
    /// Reads the data files, or opens the bundle, which has them.
    ///
    /// # Errors
    /// Every problem of parameters and data files, an output folder that cannot be used, and a bundle that cannot
    /// be opened or is of another EKS version.
    pub async fn read(flags: &Flags, environment: &Environment) -> anyhow::Result<Self> {
        if !flags.parameters.contains_key("bundle")
            && environment.parameters.get("bundle").is_none()
        {
            let (settings, inventory) = read(flags, environment)?;
            check_target(&settings, |folder| files::nearest_folder(folder).map(drop))?;
            return Ok(Self {
                settings,
                inventory,
                bundle: None,
            });
        }
        let settings = Settings::new(flags, environment)?;
        publish::check_out(&settings.out)?;
        check_target(&settings, |folder| files::nearest_folder(folder).map(drop))?;
        let Some(named) = &settings.bundle else {
            anyhow::bail!("the bundle is not in the settings (please report this)");
        };
        let bundle = bundle::open(named, &settings).await?;
        let wanted = DataFiles::new(flags, environment).ok();
        if let Some(DataFiles { eks_version, .. }) = wanted
            && eks_version != bundle.eks_version()
        {
            let what = format!(
                "the bundle {} is of EKS {}",
                named.place,
                bundle.eks_version()
            );
            let problem = Problem::input(format!("eks-version {eks_version}"), what);
            let remedy = "name the bundle of this version, or leave eks-version out";
            return Err(Problems::from(problem.remedy(remedy)).into());
        }
        let inventory = bundle.inventory().await?;
        for warning in &inventory.warnings {
            tracing::warn!("{warning}");
        }
        Ok(Self {
            settings,
            inventory,
            bundle: Some(bundle),
        })
    }

    /// Checks that a folder as the target can be written to, or created. Leaves nothing there.
    ///
    /// # Errors
    /// When it cannot.
    pub fn check_target(&self) -> Result<(), Problems> {
        check_target(&self.settings, files::check_folder)
    }

    /// Opens the session in which these sources are read, and no other ones if there is a bundle.
    ///
    /// # Errors
    /// Those of [`Session::for_inventory`].
    pub async fn open(self, stop: &CancellationToken) -> anyhow::Result<OpenSources> {
        let Self {
            settings,
            inventory,
            bundle,
        } = self;
        let session = match &bundle {
            None => Session::for_inventory(settings, &inventory, stop).await?,
            Some(bundle) => {
                let session = Session::open(settings, stop)?;
                session.stores.read_only_from(Arc::clone(bundle.archive()));
                session
            }
        };
        Ok(OpenSources {
            session,
            inventory,
            bundle,
        })
    }
}
