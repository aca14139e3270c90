//! Accounts of this host, as the name service (`/etc/passwd`, LDAP, SSSD) has them.

use std::ffi::CString;

use nix::unistd::{Group, Uid, User, getgrouplist};

/// The name of an account. `None` if there is no such account or that cannot be told.
pub fn name_of(uid: u32) -> Option<String> {
    User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name)
}

/// Whether an account is a member of a group: of one that does not exist nobody is. `None` if there is no such account or
/// that cannot be told.
pub fn is_member(account: &str, group: &str) -> Option<bool> {
    let user = User::from_name(account).ok().flatten()?;
    let Some(group) = Group::from_name(group).ok()? else { return Some(false) };
    let groups = getgrouplist(&CString::new(account).ok()?, user.gid).ok()?;
    Some(groups.contains(&group.gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_in_its_own_group_and_nobody_is_not() {
        assert_eq!(name_of(0).as_deref(), Some("root"));
        assert_eq!(is_member("root", "root"), Some(true));
        assert_eq!(is_member("nobody", "root"), Some(false));
        assert_eq!(is_member("root", "no-such-group"), Some(false));
        assert_eq!(is_member("no-such-account", "root"), None);
        assert_eq!(name_of(u32::MAX - 7), None);
    }
}
