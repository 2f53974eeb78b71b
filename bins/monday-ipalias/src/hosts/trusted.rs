//! Whether root may write a hosts file on behalf of somebody who is not root: only where nobody else than root can put
//! something else in its place.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Checks a folder, whose links were followed, and every folder above it.
///
/// # Errors
/// `PermissionDenied` with the folder that others can change, otherwise what lstat(2) says.
pub fn only_root_changes(folder: &Path) -> io::Result<()> {
    for above in folder.ancestors() {
        let meta = std::fs::symlink_metadata(above)?;
        // In a sticky folder what belongs to root stays where it is.
        let open_to_others = meta.mode() & 0o022 != 0 && meta.mode() & 0o1000 == 0;
        let why = if meta.uid() != 0 {
            format!("it belongs to uid {}", meta.uid())
        } else if open_to_others {
            format!("its mode is {:03o}", meta.mode() & 0o777)
        } else {
            continue;
        };
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "others than root can change the folder {} ({why}), so root does not write there for a user",
                above.display()
            ),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn folders_of_root_are_trusted_and_those_of_users_are_not() {
        only_root_changes(Path::new("/etc")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let inside = folder.path().join("inside");
        fs::create_dir(&inside).unwrap();
        let error = only_root_changes(&inside).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert!(
            error.to_string().contains(folder.path().to_str().unwrap()),
            "{error}"
        );
        if nix::unistd::geteuid().is_root() {
            let nobody = Some(65_534);
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
            std::os::unix::fs::chown(folder.path(), nobody, nobody).unwrap();
            let error = only_root_changes(&inside).unwrap_err();
            assert!(
                error.to_string().contains("belongs to uid 65534"),
                "{error}"
            );
        }
    }
}
