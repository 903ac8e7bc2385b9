internal import FXSystem
public import SystemPackage

extension VersionStore {
    /// Puts the content of a version back as the live file, in one step, and keeps the live content as a version.
    ///
    /// The version itself stays. The copy first takes the version name that the live file will have, then the two
    /// change
    /// places: a crash leaves one copy too many and never one too few, and whatever had the live name at that moment
    /// is kept.
    /// - Returns: the version that holds what was live before; nil when there was nothing.
    /// - Throws: ENOENT when the version or the directory of its path is not there; EISDIR when a directory has the
    ///   live
    ///   name; ELOOP or EINVAL for versions that are not regular files; whatever copying and syncing met.
    @discardableResult
    public func restore(_ version: Version) throws(Errno) -> Version? {
        guard let name = version.path.name else { throw .invalidArgument }
        let saved = try open(version)
        let parent = try directory.openLive(version.path.parent)
        let store = try directory.make(for: version.path)
        while true {
            let copy = try NewVersion.begin(in: store, top: directory.makeTop)
            try copy.fill(from: saved, try saved.status())
            if let live = try liveFile(name, in: parent) {
                return try exchange(copy, with: live, name, in: parent, version.path, store: store)
            }
            do throws(Errno) {
                try copy.publish(as: name, in: parent)
                return nil
            } catch {
                // Somebody made the file since we looked: it has to be kept.
                if error != .fileExists { throw error }
            }
        }
    }

    private func liveFile(_ name: Name, in parent: borrowing OwnedDescriptor) throws(Errno) -> OwnedDescriptor? {
        do throws(Errno) {
            let file = try parent.open(name, [.pathOnly])
            if try file.status().isDirectory { throw .isDirectory }
            return file
        } catch {
            if error == .noSuchFileOrDirectory { return nil }
            throw error
        }
    }

    /// Lets a finished file and a live one change places, so that the live one becomes a version; in one step.
    /// - Throws: EISDIR when a directory took the name meanwhile, and what syncing, linking and renaming met.
    func exchange(
        _ copy: borrowing NewVersion, with live: borrowing OwnedDescriptor, _ name: Name,
        in parent: borrowing OwnedDescriptor, _ path: RelativePath, store: borrowing OwnedDescriptor
    ) throws(Errno) -> Version? {
        try syncContent(of: live, try live.status(), store: store)
        // No inode, no change time: until they change places it is a copy of another version, not of the live file.
        let stamp = try copy.publish(
            VersionStamp(madeAt: clock.now(), sourceInode: 0, sourceChanged: 0, number: 1), in: store)
        let versionName = try stamp.name()
        do throws(Errno) {
            try store.rename(versionName, to: name, in: parent, .exchange)
        } catch {
            switch error {
            case .invalidArgument, .noFunction, .notSupported, .notSupportedOnSocket:
                return try replace(name, by: versionName, in: parent, path, store: store)
            case .noSuchFileOrDirectory:
                // Somebody outside took the live file away: there is nothing left to keep.
                try store.rename(versionName, to: name, in: parent, .noReplace)
                try parent.sync()
                return nil
            default: throw error
            }
        }
        let kept = try store.status(of: versionName)
        if kept.isDirectory {
            // A directory took the name meanwhile; it goes back.
            try store.rename(versionName, to: name, in: parent, .exchange)
            throw .isDirectory
        }
        try parent.sync()
        try store.sync()
        if kept.isRegular, kept.linkCount > 1 {
            try replaceByCopy(stamp, of: try store.open(versionName, [.readOnly, .nonBlocking]), in: store)
        }
        return Version(path: path, stamp: stamp, status: kept)
    }

    /// For file systems that cannot exchange: the live file gets its version name first.
    private func replace(
        _ name: Name, by versionName: Name, in parent: borrowing OwnedDescriptor, _ path: RelativePath,
        store: borrowing OwnedDescriptor
    ) throws(Errno) -> Version? {
        let before = Set(try stamps(in: store))
        try keepLinked(name, in: parent, path: path)
        try store.rename(versionName, to: name, in: parent)
        try parent.sync()
        try store.sync()
        guard let stamp = try stamps(in: store).filter({ !before.contains($0) }).max() else { return nil }
        return Version(path: path, stamp: stamp, status: try store.status(of: try stamp.name()))
    }
}
