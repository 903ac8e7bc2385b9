internal import FXSystem

extension RemoteTree {
    /// Finishes renames that a crash interrupted, on a service that may not answer now: again and again until it does,
    /// or the service stops. Nothing else touches their files meanwhile.
    func finishRenames() {
        let moving = state.withLock { state in
            state.index.all.filter { $0.movingFrom != nil && $0.isHeld }.map(\.id)
        }
        for id in moving {
            _ = lane?.submit(.background) { [self] in
                var failures = 0
                while let error = finishRename(id) {
                    failures += 1
                    let pause = configuration.retry.wait(after: error, failures: failures, random: 1)
                    if state.wait(until: .after(pause ?? .zero), { $0.isStopped ? true : nil }) != nil { return }
                }
            }
        }
    }

    /// - Returns: why it has to be tried again; nil when it is over, one way or the other.
    private func finishRename(_ id: EntryID) -> RemoteError? {
        let place = state.withLock { state in
            state.index[id].map { (from: $0.movingFrom, to: state.index.path(of: id)) }
        }
        guard let place, let old = place.from else { return nil }
        do throws(RemoteError) {
            try backend.rename(old, to: place.to, aside: services.spool.newUploadID())
        } catch {
            record("rename_not_finished", place.to, [.init("error", .string(error.message))])
            if error.isTemporary { return error }
        }
        state.withLock { state in
            state.index.update(id) { node in
                node.movingFrom = nil
                node.isHeld = false
            }
            journalEntry(id, &state)
        }
        submitNext(id)
        return nil
    }
}
