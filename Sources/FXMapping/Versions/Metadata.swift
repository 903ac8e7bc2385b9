internal import FXSystem
internal import SystemPackage

/// What a copy keeps of a file beside its bytes: mode, owner, times and user attributes.
enum Metadata {
    /// Brings `copy` to what `status` says and gives it the user attributes of `source`.
    ///
    /// The owner only as far as this process may; then without set-user-ID and set-group-ID, which would mean somebody
    /// else.
    /// - Throws: ENOSPC, EIO and the like; not for what the file system or the rights cannot keep.
    static func apply(
        _ status: FileStatus, from source: borrowing OwnedDescriptor, to copy: borrowing OwnedDescriptor
    ) throws(Errno) {
        try copyUserAttributes(from: source, to: copy)
        // chown clears the set-ID bits and chmod sets the time of change: this order.
        let keepsOwner = try setOwner(status, of: copy)
        try copy.setPermissions(keepsOwner ? status.permissions : status.permissions & 0o1777)
        try copy.setTimes(accessed: .set(status.accessed), modified: .set(status.modified))
    }

    private static func setOwner(_ status: FileStatus, of copy: borrowing OwnedDescriptor) throws(Errno) -> Bool {
        let now = try copy.status()
        if now.owner == status.owner, now.group == status.group { return true }
        do throws(Errno) {
            try copy.setOwner(status.owner, group: status.group)
            return true
        } catch {
            switch error {
            // EINVAL: an owner that has no number in this user namespace.
            case .notPermitted, .permissionDenied, .invalidArgument, .notSupported: return false
            default: throw error
            }
        }
    }

    private static func copyUserAttributes(
        from source: borrowing OwnedDescriptor, to copy: borrowing OwnedDescriptor
    ) throws(Errno) {
        for name in try userAttributes(of: source) {
            do throws(Errno) {
                try copy.setAttribute(name, to: try source.attribute(name))
            } catch {
                switch error {
                // Removed since it was listed, or no user attributes on this file system.
                case .noAttribute, .notSupported, .notSupportedOnSocket: continue
                default: throw error
                }
            }
        }
    }

    private static func userAttributes(of source: borrowing OwnedDescriptor) throws(Errno) -> [String] {
        do throws(Errno) {
            return try source.attributeNames().split(separator: 0)
                .compactMap { String(validating: $0, as: UTF8.self) }
                .filter { $0.hasPrefix("user.") }
        } catch {
            switch error {
            case .notSupported, .notSupportedOnSocket, .noFunction: return []
            default: throw error
            }
        }
    }
}
