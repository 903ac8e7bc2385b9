internal import FXSystem
internal import Glibc
internal import SystemPackage

/// A copy on its way to become a version: nobody sees it before it is whole and on disk.
///
/// An unnamed file where the file system has those: it goes away with the descriptor. Elsewhere a file `@partial-N` in
/// `.fxversions`, locked while it is used. As nothing here can remove a file, an abandoned one is emptied and used
/// again.
struct NewVersion: ~Copyable {
    let file: OwnedDescriptor
    fileprivate let partial: Partial?

    fileprivate struct Partial: ~Copyable {
        let directory: OwnedDescriptor
        let name: Name
    }

    /// Takes over an open file that has no name.
    init(nameless file: consuming OwnedDescriptor) { self.init(file: file, partial: nil) }

    private init(file: consuming OwnedDescriptor, partial: consuming Partial?) {
        self.file = file
        self.partial = partial
    }

    var isNameless: Bool {
        switch partial {
        case .some: false
        case .none: true
        }
    }

    /// Copies at the same time without O_TMPFILE; the next one waits for none, it is refused with EBUSY.
    private static let partialNames = 256

    /// A new, empty file in the file system of `directory`; `top` is where it lies when it needs a name.
    static func begin(
        in directory: borrowing OwnedDescriptor, top: () throws(Errno) -> OwnedDescriptor
    ) throws(Errno) -> NewVersion {
        do throws(Errno) {
            return NewVersion(file: try directory.openUnnamed(.readWrite, mode: 0o600), partial: nil)
        } catch {
            switch error {
            // open(2): EOPNOTSUPP and EISDIR; EINVAL and ENOSYS from file systems that never heard of the flag;
            // EBADF and ENOENT were seen from FUSE servers.
            case .notSupported, .notSupportedOnSocket, .isDirectory, .invalidArgument, .noFunction, .badFileDescriptor,
                .noSuchFileOrDirectory:
                break
            default: throw error
            }
        }
        return try named(in: try top())
    }

    /// A new, empty file that has a name, so that it can be renamed over something.
    static func named(in top: borrowing OwnedDescriptor) throws(Errno) -> NewVersion {
        for number in 0..<partialNames {
            let name = try makeName(Array("@partial-\(number)".utf8))
            guard let file = try claim(name, in: top) else { continue }
            return NewVersion(file: file, partial: Partial(directory: try top.duplicate(), name: name))
        }
        throw .resourceBusy
    }

    /// Opens and locks a partial file; nil when somebody else uses it or has just given it its final name.
    private static func claim(_ name: Name, in top: borrowing OwnedDescriptor) throws(Errno) -> OwnedDescriptor? {
        let file = try top.open(name, [.readWrite, .create, .nonBlocking], mode: 0o600)
        if flock(file.rawValue, LOCK_EX | LOCK_NB) != 0 { return nil }
        let status = try file.status()
        // Its owner may have renamed it between our open and our lock: then it is a version and must not be touched.
        guard status.isRegular, status.linkCount == 1, (try? top.status(of: name).identity) == status.identity else {
            return nil
        }
        try file.truncate(to: .zero)
        return file
    }

    /// Fills the file with what `source` holds and makes it durable.
    borrowing func fill(
        from source: borrowing OwnedDescriptor, _ status: FileStatus, isGivenUp: () -> Bool = { false }
    ) throws(Errno) {
        do throws(Errno) {
            _ = try file.copyContent(from: source, isGivenUp: isGivenUp)
            try Metadata.apply(status, from: source, to: file)
            try file.sync()
        } catch {
            // A partial file stays: give its space back. Its own failure would only hide the first one.
            if partial != nil { try? file.truncate(to: .zero) }
            throw error
        }
    }

    /// Gives the finished file its first free name from `stamp` on, in `directory`, and makes the name durable.
    ///
    /// Never replaces anything.
    borrowing func publish(_ stamp: VersionStamp, in directory: borrowing OwnedDescriptor) throws(Errno) -> VersionStamp
    {
        var stamp = stamp
        while true {
            do throws(Errno) {
                try publish(as: try stamp.name(), in: directory)
                return stamp
            } catch {
                if error != .fileExists { throw error }
                stamp = stamp.next
            }
        }
    }

    /// Gives the finished file a name and makes it durable.
    /// - Throws: EEXIST when the name is taken.
    borrowing func publish(as name: Name, in directory: borrowing OwnedDescriptor) throws(Errno) {
        switch partial {
        case .some(let partial): try partial.publish(name, in: directory)
        case .none: try file.linkOpenFile(as: name, in: directory)
        }
        try directory.sync()
    }

    /// Puts the finished file, which must have been begun with a name, in the place of `name`.
    borrowing func replace(_ name: Name, in directory: borrowing OwnedDescriptor) throws(Errno) {
        switch partial {
        case .some(let partial): try partial.directory.rename(partial.name, to: name, in: directory)
        case .none: throw .invalidArgument
        }
        try directory.sync()
    }
}

extension NewVersion.Partial {
    fileprivate borrowing func publish(_ newName: Name, in target: borrowing OwnedDescriptor) throws(Errno) {
        do throws(Errno) {
            try directory.rename(name, to: newName, in: target, .noReplace)
            return
        } catch {
            switch error {
            case .invalidArgument, .noFunction, .notSupported, .notSupportedOnSocket: break
            default: throw error
            }
        }
        // No RENAME_NOREPLACE here: whoever publishes in this directory takes its lock first.
        while flock(target.rawValue, LOCK_EX) != 0 {
            let reason = Errno(rawValue: errno)
            if reason != .interrupted { throw reason }
        }
        defer { _ = flock(target.rawValue, LOCK_UN) }
        if (try? target.status(of: newName)) != nil { throw .fileExists }
        try directory.rename(name, to: newName, in: target)
    }
}
