internal import FXSystem

/// The values behind `user.fxmount.*` of entries.
extension RemoteTree {
    /// The names `attribute(_:of:)` may answer.
    public static let attributeNames = [
        "state", "error", "progress", "attempts", "sha256", "remote_id", "url", "status_url", "expires", "committed_at",
        "files", "processing",
    ]

    /// One attribute of an entry, as text.
    /// - Throws: `.noAttribute` when it has none of that name, or no value for it now.
    public func attribute(_ attribute: String, of id: EntryID) throws(RemoteError) -> String {
        guard let node = state.withLock({ $0.index[id] }) else { throw .noSuchEntry }
        let value = node.kind == .file ? fileAttribute(attribute, of: node) : directoryAttribute(attribute, of: node)
        guard let value else { throw .noAttribute }
        return value
    }

    private func directoryAttribute(_ attribute: String, of node: Node) -> String? {
        switch attribute {
        case "state": return node.session?.rawValue
        case "remote_id": return node.remoteID
        case "error":
            let ofSession = node.session == nil ? nil : obstacleText(of: node) ?? withheldText(of: node)
            return ofSession ?? directoryError(of: node.id)
        case "expires":
            // What the service was told for the whole, else the end of the first file.
            let first = node.session == nil ? nil : state.withLock { $0.totals(below: node.id) }.expires
            return (node.life?.end ?? first)?.rfc3339
        case "processing": return processingText(of: node)
        case "progress":
            let totals = state.withLock { $0.totals(below: node.id) }
            return "\(totals.done.rawValue)/\(totals.size.rawValue)"
        case "files": return state.withLock { $0.totals(below: node.id) }.text
        default: return nil
        }
    }

    /// Why the directory could not be listed, or not be changed, the last time.
    private func directoryError(of id: EntryID) -> String? {
        state.withLock { $0.listings[id]?.failure ?? $0.refusals[id] }?.message
    }

    /// Why the session cannot be completed: files the remote refused, at any time; after a refused completion drafts
    /// too.
    private func obstacleText(of session: Node) -> String? {
        let (obstacles, hasFailed) = state.withLock {
            ($0.obstacles(in: session.id), $0.failure(below: session.id) != nil)
        }
        switch session.refusal {
        case .incomplete, nil:
            let isKnown = hasFailed || session.refusal != nil
            return isKnown && !obstacles.isEmpty ? RemoteError.incomplete(obstacles).message : nil
        case let refusal?: return refusal.message
        }
    }

    private func fileAttribute(_ attribute: String, of node: Node) -> String? {
        let newest = node.revisions.last?.standing
        return switch attribute {
        case "state": (newest == nil && hasExpired(node) ? FileState.expired : node.fileState).rawValue
        case "error": newest == nil ? node.committed.flatMap(errorText) : newest?.errorText ?? node.damage?.message
        case "processing": processingText(of: node)
        case "progress": progress(of: node, newest)
        case "attempts": String(newest?.attempts ?? 0)
        case "sha256": newest == nil ? node.committed?.sha256?.text : newest?.sha256?.text
        case "remote_id": node.committed?.remoteID
        case "url": links(of: node)?.url
        case "status_url": links(of: node)?.status
        case "committed_at": node.committed?.time.rfc3339
        case "expires": expiry(of: node)?.rfc3339
        default: nil
        }
    }

    private func links(of node: Node) -> FileLinks? {
        state.withLock { $0.storedFile(node.id) }.flatMap { backend.links(to: $0) }
    }

    private func hasExpired(_ node: Node) -> Bool {
        node.committed?.expires.map { $0 <= services.clock.now() } ?? false
    }

    /// Why the service does not give a file out, when that is decided; else what a person should look at.
    private func errorText(_ committed: CommittedRow) -> String? {
        committed.processing?.endError?.message ?? committed.warning
    }

    /// When the service gives up what it has of a content on its way, or drops what is committed.
    private func expiry(of node: Node) -> Timestamp? {
        if let newest = node.revisions.last, newest.phase != .committed { return backend.expiry(of: newest.upload) }
        return node.committed?.expires
    }

    /// Acknowledged bytes, a slash, all bytes.
    private func progress(of node: Node, _ newest: Revision.Standing?) -> String {
        let done = newest.map { $0.phase == .committed ? $0.size : $0.acknowledged } ?? node.committed?.size ?? .zero
        return "\(done.rawValue)/\(node.size.rawValue)"
    }
}
