public import FXSystem

/// Something at a service that nobody here goes on with, or that is here and no more at the service.
public struct Orphan: Sendable, Equatable {
    public enum Kind: String, Sendable {
        /// A session with work in it that the service has no more.
        case session
        /// An unfinished upload at the service, or one whose answer was lost.
        case upload
        /// A whole file that a newer content of its name has replaced.
        case file
    }

    public var kind: Kind
    /// Starts with the remote's name; only that when nobody knows more.
    public var path: RelativePath
    /// The service's id of a session, ours of an upload.
    public var id: String
    /// What it is and what becomes of it.
    public var sentence: String

    public var json: JSONValue {
        [
            "kind": .string(kind.rawValue), "path": .string(path.description), "id": .string(id),
            "reason": .string(sentence),
        ]
    }
}

/// What was found out about orphans of a remote; guarded by its tree.
struct OrphanFindings: Sendable {
    /// By directory, sessions that its last listing had no more.
    var absent: [EntryID: Set<EntryID>] = [:]
    /// Unfinished uploads the service told of when it was asked last.
    var unfinished: Set<UploadID> = []
    /// The newest last.
    private(set) var lost: [LostUpload] = []

    /// Enough to see what is wrong with a service that loses its answers.
    private static let limit = 1000

    mutating func note(_ uploads: [LostUpload]) {
        lost = (lost + uploads).suffix(OrphanFindings.limit)
    }
}

extension RemoteTree {
    /// What is known of orphans now, without asking the service: sessions first, then by path.
    public func orphans() -> [Orphan] {
        let name = name
        let now = services.clock.now().rfc3339
        return state.withLock { state in
            func shown(_ path: RelativePath) -> RelativePath { RelativePath([name] + path.components) }
            var found: [Orphan] = []
            for id in state.orphans.absent.values.joined().sorted() {
                guard let node = state.index[id], node.session != nil else { continue }
                found.append(
                    Orphan(
                        kind: .session, path: shown(state.index.path(of: id)), id: node.remoteID ?? "",
                        sentence: "the remote no longer has this session; `fxmount export` rescues what was not sent"))
            }
            for row in state.discards.sorted(by: { $0.path < $1.path }) {
                found.append(
                    Orphan(
                        kind: .upload, path: shown(row.path), id: row.upload.text,
                        sentence: "is of no use any more; the remote has not forgotten it yet and is asked again"))
            }
            for upload in state.orphans.lost {
                found.append(
                    Orphan(kind: .upload, path: shown(upload.path), id: upload.upload.text, sentence: upload.sentence))
            }
            var known = Set(state.discards.map(\.upload))
            state.index.forEachFile(below: .root) { file in
                known.formUnion(file.revisions.map(\.upload))
                for attempt in file.committed?.repeatedAttempts ?? [] where attempt.end > now {
                    found.append(
                        Orphan(
                            kind: .upload, path: shown(state.index.path(of: file.id)), id: attempt.id,
                            sentence: "the answer to it was lost and the file was sent again; what the service may "
                                + "have of it goes by itself by \(attempt.end)"))
                }
                for old in file.committed?.replaced ?? [] where old.end > now {
                    found.append(
                        Orphan(
                            kind: .file, path: shown(state.index.path(of: file.id)), id: old.id,
                            sentence:
                                "a newer content has replaced it; the service cannot be made to remove it, and it "
                                + "goes by itself by \(old.end)"))
                }
            }
            for upload in state.orphans.unfinished.subtracting(known).sorted(by: { $0.text < $1.text }) {
                found.append(
                    Orphan(
                        kind: .upload, path: shown(RelativePath()), id: upload.text,
                        sentence: "an unfinished upload of this state directory that no file here belongs to"))
            }
            return found
        }
    }

    /// Asks the service for unfinished uploads and for its sessions, where it tells of them, and finishes the call.
    ///
    /// Set by `user.fxmount.state = orphans` of a remote.
    func lookForOrphans(_ id: EntryID, _ token: WaitToken) {
        guard id == .root else { return waits.finish(token, .failure(.invalidArgument)) }
        guard let lane else { return waits.finish(token, orphansAsked()) }
        let isTaken = lane.submit(.background) { [self] in waits.finish(token, orphansAsked()) }
        if !isTaken { waits.finish(token, .failure(.unavailable(retryAfter: nil))) }
    }

    private func orphansAsked() -> Result<Void, RemoteError> {
        do throws(RemoteError) {
            let unfinished = Set(try backend.unfinishedUploads())
            state.withLock { $0.orphans.unfinished = unfinished }
            if listsEntries, facts.sessionDepth == 0 { try refresh(.root) }
            return .success(())
        } catch { return .failure(error) }
    }

    /// Takes over what a backend lost, and tells of it.
    func noteLostUploads() {
        let lost = backend.takeLostUploads()
        if lost.isEmpty { return }
        state.withLock { $0.orphans.note(lost) }
        for upload in lost {
            record(
                "upload_lost", upload.path,
                [.init("upload", .string(upload.upload.text)), .init("reason", .string(upload.sentence))])
        }
    }
}

extension TransferService {
    /// What `.fxmount/orphans.jsonl` holds, one object a line.
    public var orphansJSONLines: String { trees.flatMap { $0.orphans() }.map { $0.json.text + "\n" }.joined() }
}
