internal import FXRemote
internal import FXSystem
internal import SystemPackage

/// One entry of what is to be copied.
struct PlannedEntry: Sendable, Equatable {
    /// Below the source; empty for the source itself.
    var path: RelativePath
    var type: FXSystem.FileType
    var size: ByteCount
    var modified: Timestamp
}

/// What the destination has under the same path.
struct PresentEntry: Sendable, Equatable {
    var isDirectory: Bool
    var size: ByteCount
    var modified: Timestamp
    /// `user.fxmount.state`; nil for a directory.
    var state: String?
}

/// What a copy would make of one entry.
enum PlanVerdict: Sendable, Equatable {
    case send
    /// It is there: of the same size and time, as rsync compares.
    case present
    /// A directory that would be made, or is there.
    case directory
    case refuse(PlanRefusal)
}

/// Why something would not arrive.
struct PlanRefusal: Sendable, Equatable {
    /// What the copying program would be told; nil when it would be told nothing, and the file would stay here.
    var errno: Errno?
    var sentence: String

    init(_ errno: Errno?, _ sentence: String) {
        self.errno = errno
        self.sentence = sentence
    }

    init(_ error: RemoteError) { self.init(error.errno, error.message) }
}

/// Says what would become of entries that are copied into a directory of a remote. A value: it looks at nothing.
struct PlanRule: Sendable {
    /// What the mount tells of the remote.
    var limits: RemoteLimits
    /// Of the destination, above the entry: 0 when entries of it would be sessions.
    var depth: Int
    /// Of the session the destination is in; nil when it is to be made.
    var session: SessionState?
    /// The most one file may need of the spool; nil when it passes through.
    var spoolSpace: ByteCount?
    /// Files of these names stay drafts.
    var looksTemporary: @Sendable (Name) -> Bool

    func verdict(on entry: PlannedEntry, present: PresentEntry?) -> PlanVerdict {
        if let session, !session.takesChanges, present.map({ !isSame(entry, $0) }) ?? true {
            return .refuse(PlanRefusal(.sessionClosed(session)))
        }
        // The first directory that cannot be made takes everything below with it.
        for (index, name) in entry.path.components.enumerated() {
            let isLast = index == entry.path.components.count - 1
            do throws(RemoteError) { try limits.names.check(name, depth: depth + index) } catch {
                return .refuse(PlanRefusal(error))
            }
            if (!isLast || entry.type == .directory) && depth + index >= 1 && !limits.makesDirectories {
                return .refuse(PlanRefusal(.needsFlatNames))
            }
        }
        switch entry.type {
        case .directory:
            if let present, !present.isDirectory { return .refuse(PlanRefusal(.exists)) }
            return .directory
        case .regular: return file(entry, present)
        case .symbolicLink: return .refuse(PlanRefusal(.notPermitted, "a session takes no symbolic links"))
        case .fifo, .socket, .characterDevice, .blockDevice:
            return .refuse(PlanRefusal(.notPermitted, "a session takes no FIFOs, sockets and devices"))
        }
    }

    private func file(_ entry: PlannedEntry, _ present: PresentEntry?) -> PlanVerdict {
        if let present, present.isDirectory { return .refuse(PlanRefusal(.isDirectory)) }
        if depth + entry.path.components.count < 2 { return .refuse(PlanRefusal(.needsSession)) }
        if let limit = limits.maximumFileSize, entry.size > limit {
            return .refuse(PlanRefusal(.tooLarge(limit: limit)))
        }
        if let name = entry.path.name, looksTemporary(name) {
            return .refuse(PlanRefusal(nil, "the name looks temporary: the file stays a draft until it is renamed"))
        }
        if let present, isSame(entry, present) { return .present }
        if let spoolSpace, entry.size > spoolSpace {
            return .refuse(PlanRefusal(.noSpace, "the disk of the spool has room for \(spoolSpace) only"))
        }
        return .send
    }

    /// As rsync compares: size, and time in whole seconds. What failed or is a draft is not there.
    private func isSame(_ entry: PlannedEntry, _ present: PresentEntry) -> Bool {
        if entry.type == .directory || present.isDirectory { return entry.type == .directory && present.isDirectory }
        let isStored = ["committed", "queued", "uploading"].contains(present.state)
        return isStored && entry.type == .regular && entry.size == present.size
            && entry.modified.seconds == present.modified.seconds
    }
}
