public import FXSystem
internal import Synchronization

/// Which calls may wait for the service. What is answered from memory, the journal and the spool never does.
extension RemoteTree {
    /// A call, as far as it decides that.
    public enum Call: Sendable {
        case lookup(Name, in: EntryID)
        case list(EntryID)
        case create(Name, in: EntryID)
        case makeDirectory
        case remove(Name, in: EntryID)
        case rename
        case open(EntryID, OpenFlags)
        /// A write or a truncation that keeps something of what is there.
        case change(EntryID)
        case setModified(EntryID)
        case setState
    }

    /// A lane, and how to use it.
    public struct Place: Sendable {
        public var lane: CallLane
        /// See `CallLane.submit`.
        public var key: UInt64?
        /// ETIMEDOUT when it takes longer; nil for calls that bring contents or wait for them.
        public var limit: Duration?
    }

    /// Where to carry out a call; nil for the calling thread.
    public func place(for call: Call) -> Place? {
        guard let lane, let contentLane, !lane.isStopped else { return nil }
        let limit = configuration.operationTimeout
        func names(_ key: EntryID? = nil) -> Place { Place(lane: lane, key: key?.rawValue, limit: limit) }
        switch call {
        case .lookup(let name, let parent), .create(let name, let parent):
            let isKnown = state.withLock { $0.index.child(name, of: parent) != nil }
            return isKnown || isListed(parent, .absence) ? nil : names(parent)
        case .list(let id): return isListed(id, .content) ? nil : names(id)
        case .makeDirectory, .rename, .setState: return names()
        case .remove(let name, let parent):
            guard backend.facts.deletesCommitted else { return nil }
            return state.withLock { $0.index.child(name, of: parent)?.committed } == nil ? nil : names()
        case .setModified(let id):
            guard backend.facts.keepsModificationTimes else { return nil }
            return state.withLock { $0.index[id]?.committed } == nil ? nil : names()
        case .open(let id, let flags):
            // Emptied at once: that waits for whoever makes a draft of it.
            guard flags.contains(.truncate) else { return nil }
            return state.withLock { $0.index[id]?.draft } == nil ? names() : nil
        case .change(let id):
            return state.withLock { $0.index[id]?.draft } == nil
                ? Place(lane: contentLane, key: nil, limit: nil) : nil
        }
    }

    // MARK: - Space

    /// Free space: what the spool and the store both have. Of a service that is asked over a network its last answer
    /// counts, and until there is one the spool's: never waits.
    public func space() throws(RemoteError) -> FileSystemSpace {
        let spool = try services.spool.space()
        guard let store = try knownStoreSpace() else { return spool }
        return store.available < spool.available ? store : spool
    }

    private func knownStoreSpace() throws(RemoteError) -> FileSystemSpace? {
        guard let lane else { return try backend.space() }
        let (known, isDue) = storeSpace.withLock { space in
            let isDue = !space.isAsked && (space.freshUntil?.hasPassed ?? true)
            if isDue { space.isAsked = true }
            return (space.value, isDue)
        }
        if isDue {
            let isTaken = lane.submit(.background) { [self] in
                // A service that does not tell has no number; the spool's is one that is true.
                let answer = try? backend.space()
                storeSpace.withLock { space in
                    space.value = answer
                    space.isAsked = false
                    space.freshUntil = .after(StoreSpace.lifetime)
                }
            }
            if !isTaken { storeSpace.withLock { $0.isAsked = false } }
        }
        return known
    }
}

/// What a service said of its space.
struct StoreSpace: Sendable {
    var value: FileSystemSpace?
    var isAsked = false
    var freshUntil: ContinuousDeadline?

    /// df(1) is asked by hand and by monitors, every minute or so.
    static let lifetime = Duration.seconds(30)
}

extension CallLane {
    /// Listings and changes of names: 8 at once, since a service that answers needs few and one that does not gets no
    /// more; 1024 may wait, each of them a program in a system call.
    static var forNames: CallLane { CallLane(name: "fx-lane", threads: 8, capacity: 1024) }

    /// Contents: 16 at once fill any line.
    static var forContents: CallLane { CallLane(name: "fx-content", threads: 16, capacity: 1024) }
}
