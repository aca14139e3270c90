//! Who may read and write what is kept in a state directory.
//!
//! A directory that its group may write to is a team's (`install -d -m 2770 -g sre DIR`): what is made in it is for that
//! group, whatever the umask of whoever makes it. Any other is one person's, and nobody else reads it.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Who shares a state directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// One account.
    Private,
    /// All accounts of the directory's group.
    Team,
}

impl Sharing {
    /// As the directory itself says; one that is not there yet is private.
    pub(crate) fn of(root: &Path) -> Self {
        let team = fs::metadata(root).is_ok_and(|about| about.permissions().mode() & 0o020 != 0);
        if team { Self::Team } else { Self::Private }
    }

    /// Makes a directory and those above it that are missing; one that is there is left as it is.
    ///
    /// # Errors
    /// If it cannot be made.
    pub(crate) fn dirs(self, path: &Path) -> io::Result<()> {
        match self.dir(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                path.parent().map_or(Ok(()), |parent| self.dirs(parent))?;
                self.dir(path)
            }
            made => made,
        }
        .or_else(|error| if path.is_dir() { Ok(()) } else { Err(error) })
    }

    /// Makes a directory.
    ///
    /// # Errors
    /// If it cannot be made, or is there.
    pub(crate) fn dir(self, path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(self.mode(0o700, 0o770)).create(path)?;
        if self == Self::Team {
            // The umask took bits away. What was inherited (setgid) stays.
            let mode = fs::metadata(path)?.permissions().mode();
            fs::set_permissions(path, Permissions::from_mode(mode & 0o7777 | 0o770))?;
        }
        Ok(())
    }

    /// Makes a directory that everybody who shares it may read, and in which only its owner makes files.
    ///
    /// # Errors
    /// If it cannot be made, or is there.
    pub(crate) fn dir_own(self, path: &Path) -> io::Result<()> {
        self.dir(path)?;
        if self == Self::Team { fs::set_permissions(path, Permissions::from_mode(0o2750)) } else { Ok(()) }
    }

    /// Makes a directory into which everybody who shares it may put something, and from which nobody may take what another
    /// put there; one that is there is left as it is.
    ///
    /// # Errors
    /// If it cannot be made.
    pub(crate) fn shelf(self, path: &Path) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        path.parent().map_or(Ok(()), |parent| self.dirs(parent))?;
        match self.dir(path) {
            Ok(()) if self == Self::Team => fs::set_permissions(path, Permissions::from_mode(0o3770)),
            // Another process made it in between.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            made => made,
        }
    }

    /// Opens a file that everybody who shares the directory may write to, as `options` say.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub(crate) fn open(self, options: &mut OpenOptions, path: &Path) -> io::Result<File> {
        self.make(options, path, self.mode(0o600, 0o660))
    }

    /// Opens a file that everybody who shares the directory may read, and only its owner may write to.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub(crate) fn open_own(self, options: &mut OpenOptions, path: &Path) -> io::Result<File> {
        self.make(options, path, self.mode(0o600, 0o640))
    }

    fn make(self, options: &mut OpenOptions, path: &Path, mode: u32) -> io::Result<File> {
        let file = options.mode(mode).open(path)?;
        if self == Self::Team {
            let now = file.metadata()?.permissions().mode();
            // Only its owner may change that, and made it so.
            if now & 0o777 != mode {
                let _ = file.set_permissions(Permissions::from_mode(now & 0o7000 | mode));
            }
        }
        Ok(file)
    }

    fn mode(self, private: u32, team: u32) -> u32 {
        match self {
            Self::Private => private,
            Self::Team => team,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn made(root: u32) -> (u32, u32, u32) {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(root)).unwrap();
        let sharing = Sharing::of(dir.path());
        let below = dir.path().join("a/b");
        sharing.dirs(&below).unwrap();
        sharing.dirs(&below).unwrap();
        assert_eq!(sharing.dir(&below).unwrap_err().kind(), ErrorKind::AlreadyExists);
        let (all, own) = (below.join("all"), below.join("own"));
        sharing.open(OpenOptions::new().create_new(true).write(true), &all).unwrap();
        sharing.open_own(OpenOptions::new().create_new(true).write(true), &own).unwrap();
        assert_eq!(mode(&below), mode(&dir.path().join("a")));
        (mode(&below), mode(&all), mode(&own))
    }

    #[test]
    fn what_is_made_is_for_whom_the_directory_is() {
        assert_eq!(made(0o700), (0o700, 0o600, 0o600));
        assert_eq!(made(0o755), (0o700, 0o600, 0o600));
        assert_eq!(made(0o2770), (0o2770, 0o660, 0o640));
    }

    #[test]
    fn on_a_shelf_nobody_takes_what_is_anothers() {
        let modes = |root: u32| {
            let dir = tempfile::tempdir().unwrap();
            fs::set_permissions(dir.path(), Permissions::from_mode(root)).unwrap();
            let sharing = Sharing::of(dir.path());
            let (shelf, own) = (dir.path().join("a/shelf"), dir.path().join("a/own"));
            sharing.shelf(&shelf).unwrap();
            sharing.shelf(&shelf).unwrap();
            sharing.dir_own(&own).unwrap();
            assert_eq!(sharing.dir_own(&own).unwrap_err().kind(), ErrorKind::AlreadyExists);
            (mode(&shelf), mode(&own))
        };
        assert_eq!(modes(0o700), (0o700, 0o700));
        assert_eq!(modes(0o2770), (0o3770, 0o2750));
    }

    #[test]
    fn a_file_in_the_place_of_a_directory_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "").unwrap();
        assert!(Sharing::Private.dirs(&dir.path().join("a")).is_err());
        assert!(Sharing::Private.dirs(&dir.path().join("a/b")).is_err());
    }
}
