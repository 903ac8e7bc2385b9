internal import FXSystem
internal import Glibc
internal import SystemPackage

/// The directory with the cached contents of one state directory, one file each. Nobody else uses it meanwhile: it is
/// locked as long as this lives.
final class CacheDirectory: Sendable {
    /// What an earlier run left.
    struct Found: Sendable {
        var key: CacheKey
        var allocated: UInt64
        var modified: Timestamp
    }

    private let directory: OwnedDescriptor

    /// Opens it, and makes it if it is missing.
    /// - Parameter path: of the directory that holds all caches of this user.
    /// - Throws: EAGAIN when another process has it, EPERM when it belongs to another user.
    init(path: String, name: Name) throws(Errno) {
        let made = try StagingDirectory.openOrMake(path).openOrMakeDirectory(name, mode: 0o700)
        let status = try made.status()
        // Somebody else could put bytes into it that look right.
        if status.owner != geteuid() { throw .notPermitted }
        if status.permissions & 0o077 != 0 { try made.setPermissions(0o700) }
        if flock(made.rawValue, LOCK_EX | LOCK_NB) != 0 { throw Errno(rawValue: errno) }
        directory = made
    }

    /// What of it is a file of the cache, the one changed last first. Looks at names and sizes only.
    func contents() throws(Errno) -> [Found] {
        var found: [Found] = []
        for name in try directory.entryNames() {
            guard let key = CacheKey(name), let status = try? directory.status(of: name), status.isRegular else {
                continue
            }
            found.append(Found(key: key, allocated: status.blocks * 512, modified: status.modified))
        }
        return found.sorted { $0.modified > $1.modified }
    }

    /// nil when there is none.
    func open(_ key: CacheKey) throws(Errno) -> CacheDescriptor? {
        do throws(Errno) {
            return CacheDescriptor(try directory.open(name(of: key), [.readWrite, .nonBlocking]))
        } catch {
            if error == .noSuchFileOrDirectory { return nil }
            throw error
        }
    }

    /// A new and empty file; what had its name is gone.
    func make(_ key: CacheKey) throws(Errno) -> CacheDescriptor {
        try remove(key)
        return CacheDescriptor(try directory.open(name(of: key), [.readWrite, .create, .exclusive], mode: 0o600))
    }

    func remove(_ key: CacheKey) throws(Errno) { try CacheRemoval.remove(key, from: directory) }

    private func name(of key: CacheKey) throws(Errno) -> Name {
        guard let name = try? Name(key.text) else { throw .invalidArgument }
        return name
    }

    /// What the directory itself takes.
    func allocated() throws(Errno) -> UInt64 { try directory.status().blocks * 512 }

    /// How much can be written before less is free than others need, and what the disk allocates at once.
    func room() throws(Errno) -> (free: UInt64, allocation: UInt64) {
        let space = try directory.space()
        return ((space.available - StagingDirectory.reserved(of: space)).rawValue, space.blockSize)
    }
}

/// An open file of the cache, for those who read it while others write.
final class CacheDescriptor: Sendable {
    let file: OwnedDescriptor

    init(_ file: consuming OwnedDescriptor) { self.file = file }

    /// What it takes of the disk.
    func allocated() throws(Errno) -> UInt64 { try file.status().blocks * 512 }
}
