public import FXSystem
internal import Synchronization

/// Opening, completing and giving up groups.
extension MFTService {
    /// Opens a group under an id that belongs to the session's name. Directories in a session are words in the paths of
    /// its files; the service need not be asked for one.
    public func makeDirectory(_ path: RelativePath, in parent: StoredDirectory) throws(RemoteError) -> String {
        if path.components.count > 1 {
            guard let group = MFTPlace(parent.remoteID)?.group else { throw .madeByService }
            return MFTPlace.directory(group).text
        }
        if path.name == MFTService.filesName { throw .reservedName }
        return MFTPlace.group(try openGroup(for: path)).text
    }

    /// One caller at a time asks for one session: a second question would find the id of the first in use.
    private func openGroup(for path: RelativePath) throws(RemoteError) -> String {
        _ = opening.wait { $0.insert(path).inserted ? true : nil }
        defer { opening.withLock { _ = $0.remove(path) } }
        if let known = memory.withLock({ $0.group(at: path) }), !known.mayBeComplete { return known.id }
        let group = try openNewGroup(for: path)
        memory.withLock { $0.note(MFTMemory.Group(id: group), at: path) }
        return group
    }

    /// A service that takes an id once says 400 also when the first answer was lost; that empty group is then deleted and
    /// the next id taken, so that there is one group. So it is when a session of this name was completed or given up.
    private func openNewGroup(for path: RelativePath) throws(RemoteError) -> String {
        var refusal = RemoteError.protocolViolation
        for number in 0..<MFTService.idsOfGroup {
            let id = MFTIdentity("group", [configuration.writer, path.description], number: number)
            let answer = try client.ask(.get, "/transfer", [("group_id", id.dashed)])
            if answer.isSuccess {
                let group = try answer.id("group_id")
                return group == id.digits ? group : try checkFieldsArrive(group)
            }
            refusal = answer.errorOfGroup
            guard case .rejected = refusal else { throw refusal }
            _ = try client.ask(.delete, "/transfer", [("group_id", id.dashed)])
        }
        throw refusal
    }

    /// So many sessions of one name can follow each other in one state directory.
    private static let idsOfGroup = 16

    /// The service chose another id: it is older than this field, or a proxy dropped the field, and then nothing works.
    private func checkFieldsArrive(_ group: String) throws(RemoteError) -> String {
        if try !client.ask(.delete, "/transfer", [("group_id", group)]).isSuccess { throw .fieldsDropped }
        return try client.ask(.get, "/transfer").id("group_id")
    }

    /// Deletes the group and what it holds. Succeeds when it is gone.
    public func abort(_ session: StoredDirectory) throws(RemoteError) {
        guard let group = MFTPlace(session.remoteID)?.group else { throw .noSuchEntry }
        let answer = try client.ask(.delete, "/transfer", [("group_id", group)])
        memory.withLock { $0.forgetGroup(at: session.path) }
        // 400 is what it says of a group that is not open any more.
        if answer.isSuccess || answer.status == 400 || answer.status == 404 { return }
        throw answer.errorOfGroup
    }

    // MARK: - Completing

    /// Sends the completing request, and once only: when its answer was lost, the state of a file tells whether it
    /// arrived. It is sent again only when it did not.
    public func complete(_ manifest: SessionManifest) throws(RemoteError) {
        let path = manifest.directory.path
        guard let id = MFTPlace(manifest.directory.remoteID)?.group else { throw .noSuchEntry }
        let file = manifest.files.lazy.compactMap { MFTPlace($0.remoteID)?.file }.first
        var group = memory.withLock { $0.group(at: path) } ?? MFTMemory.Group(id: id, mayBeComplete: true)
        // Of an earlier run, or of an answer that never came.
        if group.mayBeComplete, let file, try isCommitted(file) { return noteComplete(path) }
        var fields = [("group_id", id)]
        if let life = manifest.lifetime { fields.append(("expires_after", life.text)) }
        var failure = RemoteError.unavailable(retryAfter: nil)
        for _ in 0..<MFTService.completionTries {
            let wasSent = group.mayBeComplete
            group.mayBeComplete = true
            let sent = group
            memory.withLock { $0.note(sent, at: path) }
            do throws(RemoteError) {
                let answer = try client.ask(.post, "/transfer", fields, deadlines: MFTService.completionDeadlines)
                if answer.isSuccess { return noteComplete(path) }
                failure = answer.errorOfGroup
                if !failure.isTemporary {
                    // Without a file nothing else can tell; an open empty group is not refused.
                    if wasSent, answer.status == 400, try isThere(file) { return noteComplete(path) }
                    group.mayBeComplete = false
                    let refused = group
                    memory.withLock { $0.note(refused, at: path) }
                    throw failure
                }
            } catch {
                if !error.isTemporary { throw error }
                failure = error
            }
            guard let file else { continue }
            if try settles(file) { return noteComplete(path) }
        }
        throw failure
    }

    private func isThere(_ file: String?) throws(RemoteError) -> Bool {
        if let file { try isCommitted(file) } else { true }
    }

    private func noteComplete(_ path: RelativePath) { memory.withLock { $0.forgetGroup(at: path) } }

    /// Whether a file is committed, looked at until the service can no longer be busy with it.
    private func settles(_ file: String) throws(RemoteError) -> Bool {
        let deadline = ContinuousDeadline.after(configuration.settleTime)
        var pause = configuration.settleTime / 16
        while true {
            if try isCommitted(file) { return true }
            if deadline.hasPassed { return false }
            // Waits on a monitor nobody wakes.
            _ = Monitor(()).wait(until: min(deadline, .after(pause))) { _ -> Bool? in nil }
            pause = pause * 2
        }
    }

    /// Nothing of a group can be seen before it is complete, so what can be seen is committed.
    private func isCommitted(_ file: String) throws(RemoteError) -> Bool {
        let answer = try client.ask(.get, "/file/status/" + file)
        if answer.isSuccess { return true }
        if answer.status == 404 { return false }
        throw answer.error
    }

    /// Each was proven not to have arrived before the next.
    private static let completionTries = 3
    /// The service may look at thousands of files first.
    private static let completionDeadlines = HTTPDeadlines(idle: .seconds(120), total: .seconds(600))
}
