internal import Glibc
public import SystemPackage

/// A file written as a whole or not at all.
public enum AtomicFile {
    /// Puts `bytes` under `name`, durably: what was there before is there until the new content is.
    ///
    /// Two at a time would use the same temporary name; the second is refused.
    /// - Parameter mode: of a new file; one that is replaced hands its mode on.
    /// - Throws: EWOULDBLOCK while somebody else writes the same file.
    public static func write(
        _ bytes: [UInt8], to name: String, in directory: borrowing OwnedDescriptor, mode: UInt32
    ) throws(Errno) {
        let (target, temporary) = try (validName(name), validName(name + ".new"))
        let file = try directory.open(temporary, [.writeOnly, .create], mode: 0o600)
        if flock(file.rawValue, LOCK_EX | LOCK_NB) != 0 { throw Errno(rawValue: errno) }
        // The one who had the lock may have renamed it away meanwhile.
        if try file.status().linkCount == 0 { throw .wouldBlock }
        try file.truncate(to: .zero)
        try file.write(bytes, at: 0)
        let kept = try? directory.status(of: target)
        if fchmod(file.rawValue, kept.map { $0.permissions } ?? mode) != 0 { throw Errno(rawValue: errno) }
        // Root who edits somebody's file does not take it away from them.
        if let kept, kept.owner != geteuid(), fchown(file.rawValue, kept.owner, kept.group) != 0 {
            throw Errno(rawValue: errno)
        }
        try file.sync()
        try directory.rename(temporary, to: target, in: directory)
        try directory.reopenDirectory().sync()
    }

    private static func validName(_ text: String) throws(Errno) -> Name {
        do throws(NameError) { return try Name(text) } catch { throw .invalidArgument }
    }
}
