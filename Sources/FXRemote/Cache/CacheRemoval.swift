internal import FXSystem
internal import Glibc
internal import SystemPackage

/// The one place in FXRemote that takes a file out of the cache. It works in a directory of the cache and nowhere else.
///
/// Proof that no sealed byte is lost: a file of the cache is a copy of what the service had when it was read, and is
/// never the only one; nothing that was written through the mount comes from it. The name is a key's, 32 digits made
/// here, directly in a `CacheDirectory`, which nobody but this process uses; so neither a path nor a link can lead
/// elsewhere.
enum CacheRemoval {
    /// Succeeds when there is none.
    static func remove(_ key: CacheKey, from directory: borrowing OwnedDescriptor) throws(Errno) {
        let number = directory.rawValue
        guard let name = try? Name(key.text) else { throw .invalidArgument }
        let result = unsafe name.withCString { unsafe unlinkat(number, $0, 0) }
        if result != 0, errno != ENOENT { throw Errno(rawValue: errno) }
    }
}
