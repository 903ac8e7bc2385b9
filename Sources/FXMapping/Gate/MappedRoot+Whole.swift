public import FXSystem
internal import Glibc
public import SystemPackage

/// A file that has no name until it is whole, so that no process, and no mount in another one, ever sees a part of it.
///
/// Let go without being published, it is gone. Where the file system has no unnamed files it lies as `@partial-N` in
/// `.fxversions` meanwhile (V11).
public final class UnnamedFile: Sendable {
    let content: NewVersion

    init(_ content: consuming NewVersion) { self.content = content }

    /// A file in a directory that belongs to no type, for bytes whose type is not known yet.
    /// - Parameter directory: absolute; this program's own.
    public convenience init(inOwnDirectory directory: String) throws(Errno) {
        let directory = try OwnedDescriptor.open(absolute: directory, [.readOnly, .directory])
        self.init(try NewVersion.begin(in: directory) { () throws(Errno) in try directory.duplicate() })
    }

    /// The same file, which can not be written to any more once this one is let go: whoever finds it under its name must not take it for one that is
    /// still being written. Where it needs a name while it is made, its writer holds the lock of that name and stays.
    func finished() throws(Errno) -> UnnamedFile {
        guard content.isNameless else { return self }
        return UnnamedFile(NewVersion(nameless: try content.file.reopen(.readOnly)))
    }

    /// Gives it a name in a directory that belongs to no type, in one step; never replaces. Bytes and name are on disk when this returns.
    /// - Throws: EEXIST.
    public func publish(as name: Name, inOwn directory: borrowing OwnedDescriptor) throws(Errno) {
        try content.file.sync()
        try content.publish(as: name, in: directory)
    }

    /// Open for reading and writing.
    public var descriptor: OwnedDescriptor { _read { yield content.file } }
}

/// Files that appear whole.
extension MappedRoot {
    /// How a new file meets one that has its name.
    public enum Arrival: Sendable {
        /// EEXIST.
        case onlyNew
        /// It takes the name over, where the policy allows that; what was there becomes a version, in every policy.
        case replacing
    }

    /// A new, empty file without a name on this type's file system; whether it may get one is asked by `checkArrival` and `publish`.
    public func makeUnnamed(in directory: borrowing OwnedDescriptor) throws(Errno) -> UnnamedFile {
        let versions = versions
        return UnnamedFile(
            try NewVersion.begin(in: directory) { () throws(Errno) in try versions.directory.makeTop() })
    }

    /// Throws what `publish` would throw now, so that bytes are refused before they are sent.
    public func checkArrival(
        _ arrival: Arrival, at place: Place, in directory: borrowing OwnedDescriptor, by caller: Caller
    ) throws(Errno) {
        try checkName(place.name)
        try checkWritable("create", place, caller)
        guard let present = try directory.statusIfPresent(of: place.name) else { return }
        try checkReplacing(present, arrival, at: place, caller)
    }

    /// Gives a finished file its name in `directory`, in one step; it is sealed at once. Bytes and name are on disk when this returns.
    ///
    /// The file gets the owner and umask of `caller`, as `create` gives them.
    /// - Throws: EEXIST by `arrival`; EPERM and EROFS by policy; EISDIR when the name is a directory's; EXDEV when
    ///   the file lies on another file system; what syncing and keeping the version met.
    public func publish(
        _ file: UnnamedFile, _ arrival: Arrival, at place: Place, in directory: borrowing OwnedDescriptor,
        by caller: Caller
    ) throws(Errno) {
        try checkName(place.name)
        try checkWritable("create", place, caller)
        try file.content.file.sync()
        // Each repetition means that somebody else's file came or went.
        while true {
            guard let present = try directory.statusIfPresent(of: place.name) else {
                do throws(Errno) {
                    return try file.content.publish(as: place.name, in: directory)
                } catch {
                    if error != .fileExists { throw error }
                    continue
                }
            }
            // The file has its turn too: two types can show two of its names at once.
            let isDone = try shared.turns.take([place.directory, present.identity]) { () throws(Errno) -> Bool in
                guard try directory.statusIfPresent(of: place.name)?.identity == present.identity else { return false }
                try checkReplacing(present, arrival, at: place, caller)
                try exchange(file, with: present, at: place, in: directory)
                return true
            }
            if isDone { return }
        }
    }

    /// Gives a file that has no name yet the mode, times, owner and user attributes of another one, as far as this process may.
    func dress(
        _ file: UnnamedFile, as status: FileStatus, from source: borrowing OwnedDescriptor
    ) throws(Errno) {
        try Metadata.apply(status, from: source, to: file.content.file)
    }

    /// The same for a directory the same operation has just made.
    func dress(
        made directory: borrowing OwnedDescriptor, as status: FileStatus, from source: borrowing OwnedDescriptor
    ) throws(Errno) {
        try Metadata.apply(status, from: source, to: directory)
    }

    /// True while somebody has the file open for writing, in this process or another one: its bytes are nobody's promise yet.
    ///
    /// One who is just closing it is waited for, half a second: a child that somebody has just started has all files open until it runs its
    /// program.
    public func isBeingWritten(_ name: Name, in directory: borrowing OwnedDescriptor) throws(Errno) -> Bool {
        let status = try directory.status(of: name)
        guard status.isRegular else { return false }
        return shared.ledger.hasWriters(status.identity)
            || hasUncountedWriter(name, in: directory, looks: 5 * MappedRoot.closingLooks)
    }

    private func checkReplacing(
        _ present: FileStatus, _ arrival: Arrival, at place: Place, _ caller: Caller
    ) throws(Errno) {
        if arrival == .onlyNew { throw .fileExists }
        if present.isDirectory { throw .isDirectory }
        let state = shared.ledger.nameState(of: present, at: place.key, for: caller.uid)
        if case .refuse(let error, let rule) = policy.verdict(on: .replaceName, of: state) {
            throw refuse("replace", place, caller, error, rule: rule)
        }
    }

    private func exchange(
        _ file: UnnamedFile, with present: FileStatus, at place: Place, in directory: borrowing OwnedDescriptor
    ) throws(Errno) {
        let path = shared.ledger.backupPath(of: present) ?? place.path()
        let live = try directory.open(place.name, [.pathOnly])
        let store = try versions.directory.make(for: path)
        _ = try versions.exchange(file.content, with: live, place.name, in: directory, path, store: store)
        shared.ledger.removed(present, from: place.key)
        shared.events.record(
            "version_kept",
            [.init("path", .string("types/\(type.entity)/\(type.name)/\(path)")), .init("reason", "replaced")])
    }
}
