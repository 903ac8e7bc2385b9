public import FXSystem

/// What `.fxmount/sessions/…` tells of one session, as text. From memory only: nothing here waits for a network.
extension RemoteTree {
    /// An entry that is known here, without asking the service; nil when there is none.
    public func knownEntry(_ name: Name, in parent: EntryID) -> RemoteEntry? {
        state.withLock { state in state.index.child(name, of: parent).flatMap { state.entry($0.id) } }
    }

    /// What is known in a directory, without asking the service.
    public func knownEntries(in parent: EntryID) -> [RemoteEntry] {
        state.withLock { state in state.index.children(of: parent).compactMap { state.entry($0.id) } }
    }

    /// The receipt of a session: every committed file with size, SHA-256, id and times; nil for what is no session.
    public func receipt(of id: EntryID) -> String? {
        let now = services.clock.now()
        return state.withLock { state in
            guard let session = state.index[id], let standing = session.session else { return nil }
            var files = ""
            var totals = (files: Int64(0), bytes: ByteCount.zero, unfinished: Int64(0))
            // A newer content on its way: what the service holds is history as soon as that is there.
            state.index.forEachFile(below: id) { if !$0.revisions.isEmpty { totals.unfinished += 1 } }
            for file in state.sentFiles(of: id) {
                totals.files += 1
                totals.bytes = totals.bytes + file.size
                // Text by text: a session may have a hundred thousand files.
                files += (files.isEmpty ? "" : ",\n") + state.receiptLine(file, linked: backend.links).text
            }
            let head: JSONValue = [
                "format": 1, "remote": .string(name.description), "kind": .string(kind),
                "session": .string(state.index.path(of: id).description), "state": .string(standing.rawValue),
                "remote_id": .text(session.remoteID), "time": .time(now),
                "totals": [
                    "files": .integer(totals.files), "bytes": .bytes(totals.bytes),
                    "unfinished": .integer(totals.unfinished),
                ],
            ]
            return String(head.text.dropLast()) + ",\"files\":[\n\(files)\n]}\n"
        }
    }

    /// The last verification of a session; nil when there was none since the mount.
    public func verification(of id: EntryID) -> String? {
        guard let report = verifications.report(of: id) else { return nil }
        return report.json(remote: name, session: path(of: id)).text + "\n"
    }
}

extension TreeState {
    fileprivate func receiptLine(_ file: Sent, linked: (StoredFile) -> FileLinks?) -> JSONValue {
        var members: [JSONValue.Member] = [.init("path", .string(file.path.description))]
        if !file.path.description.utf8.elementsEqual(file.path.bytes) {
            members.append(.init("path_hex", .string(hexadecimal(file.path.bytes))))
        }
        members += [
            .init("size", .bytes(file.size)), .init("sha256", .text(file.sha256?.text)),
            .init("remote_id", .string(file.remoteID)), .init("committed_at", .time(file.time)),
        ]
        if file.isLost {
            members.append(.init("now", .string(file.node == nil ? "missing" : "changed")))
            return .object(members)
        }
        guard let node = file.node else { return .object(members) }
        members.append(.init("mtime", .time(node.modified)))
        if let links = storedFile(node.id).flatMap(linked) {
            members.append(.init("url", .string(links.url)))
            if let status = links.status { members.append(.init("status_url", .string(status))) }
        }
        if let expires = node.committed?.expires { members.append(.init("expires", .time(expires))) }
        members += node.committed?.details ?? []
        return .object(members)
    }
}
