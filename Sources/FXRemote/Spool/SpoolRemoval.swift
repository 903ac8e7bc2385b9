internal import FXSystem
internal import Glibc
internal import SystemPackage

/// The one place in FXRemote that takes a name off a file of the spool. It works there and nowhere else.
///
/// Proof that no sealed byte is lost: the only callers give a `Reason`, and each reason means that the bytes are
/// either verified on the remote and recorded as such in the journal, durably (`committed`), or were never sealed and
/// their owner dropped them (`droppedDraft`), or that `committed` was said of them when the file was moved to `spare/`
/// (`spare`). The name is a spool name made by `Spool.newUploadID()`, or the number of a spare file, opened by
/// descriptor, so neither a path nor a link can lead elsewhere. An adopted file has a second name in the store, which
/// stays.
enum SpoolRemoval {
    enum Reason: Sendable {
        case committed, droppedDraft, spare
    }

    /// - Parameter directory: of the spool, or of its spare files. A name that is not there counts as removed.
    static func remove(_ name: Name, from directory: borrowing OwnedDescriptor, because reason: Reason) throws(Errno) {
        let directory = directory.rawValue
        let result = unsafe name.withCString { unsafe unlinkat(directory, $0, 0) }
        if result != 0, errno != ENOENT { throw Errno(rawValue: errno) }
    }
}
