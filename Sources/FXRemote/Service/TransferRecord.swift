public import FXSystem

/// One file on its way, or one that did not get there.
public struct TransferRecord: Sendable, Equatable {
    /// Starts with the remote's name.
    public var path: RelativePath
    public var state: FileState
    public var size: ByteCount
    public var acknowledged: ByteCount
    public var attempts: Int
    public var error: String?
    public var sha256: String?
    public var sealed: Timestamp?
    public var committed: Timestamp?

    public var json: JSONValue {
        .object([
            .init("path", .string(path.description)), .init("state", .string(state.rawValue)),
            .init("size", .bytes(size)),
            .init("acknowledged", .bytes(acknowledged)), .init("attempts", .integer(Int64(attempts))),
            .init("error", .text(error)), .init("sha256", .text(sha256)), .init("sealed", .time(sealed)),
            .init("committed_at", .time(committed)),
        ])
    }
}

extension TransferService {
    /// Everything that is not on its remote, in path order: drafts, queued, uploading and failed files.
    public func transfers() -> [TransferRecord] { trees.flatMap { $0.transfers() } }

    /// The files committed last, the newest first; at most `RecentCommits.limit` of each remote.
    public func recentCommits() -> [TransferRecord] { trees.flatMap { $0.recentCommits() } }

    /// What `.fxmount/transfers.jsonl` holds, one object a line: what is not committed, then what was committed last.
    public var transfersJSONLines: String { (transfers() + recentCommits()).map { $0.json.text + "\n" }.joined() }

    /// What `.fxmount/status.json` says of remotes.
    public var statusJSON: JSONValue { .array(trees.map(\.statusJSON)) }

    /// What `.fxmount/limits.json` says of remotes.
    public var limitsJSON: JSONValue { .array(trees.map(\.limitsJSON)) }

    /// Counters in the Prometheus text format.
    public var metrics: String {
        var text = "# TYPE fxmount_files gauge\n"
        for tree in trees {
            let counts = tree.counts()
            for state in FileState.allCases {
                text += "fxmount_files{remote=\"\(tree.name)\",state=\"\(state.rawValue)\"} \(counts[state] ?? 0)\n"
            }
        }
        return text + (cacheStanding?.metrics ?? "")
    }

    /// What `.fxmount/status.json` says of the cache of what was read; nil when there is none.
    public var cacheJSON: JSONValue? { cacheStanding?.json }

    private var cacheStanding: ReadCache.Standing? { services.cache?.standing }
}

extension RemoteTree {
    func transfers(below id: EntryID = .root) -> [TransferRecord] {
        let pending = state.withLock { state in
            state.index.files(below: id).flatMap { node in
                let path = RelativePath([name] + state.index.path(of: node.id).components)
                return node.revisions.map { (path, $0.standing) }
            }
        }
        return pending.map { path, standing in
            TransferRecord(
                path: path, state: standing.phase, size: standing.size, acknowledged: standing.acknowledged,
                attempts: standing.attempts, error: standing.errorText, sha256: standing.sha256?.text,
                sealed: standing.sealed)
        }
    }

    func recentCommits() -> [TransferRecord] {
        state.withLock { state in
            state.recent.newestFirst.compactMap { id in
                // A newer content on its way is listed as that.
                guard let node = state.index[id], node.revisions.isEmpty, let committed = node.committed else {
                    return nil
                }
                return TransferRecord(
                    path: RelativePath([name] + state.index.path(of: id).components), state: node.fileState,
                    size: committed.size, acknowledged: committed.size, attempts: 0,
                    error: committed.processing?.endError?.message, sha256: committed.sha256?.text,
                    committed: committed.time)
            }
        }
    }

    /// Contents that are not on the remote, the newest of a file first.
    func pendingContents() -> [(RelativePath, Revision)] {
        state.withLock { state in
            state.index.files(below: .root).flatMap { node in
                let path = RelativePath([name] + state.index.path(of: node.id).components)
                return node.revisions.reversed().map { (path, $0) }
            }
        }
    }

    func counts() -> [FileState: Int] {
        state.withLock { state in
            var counts: [FileState: Int] = [:]
            for node in state.index.all where node.kind == .file { counts[node.fileState, default: 0] += 1 }
            return counts
        }
    }

    var statusJSON: JSONValue {
        let counts = counts()
        let sessions = state.withLock { state in
            state.index.all.filter { $0.session != nil }.map { (state.index.path(of: $0.id), $0.session) }
                .sorted { $0.0 < $1.0 }.map { path, session in
                    JSONValue.object([
                        .init("name", .string(path.description)), .init("state", .text(session?.rawValue)),
                    ])
                }
        }
        return .object([
            .init("name", .string(name.description)), .init("kind", .string(kind)),
            .init("commit", .string(configuration.commit.rawValue)), .init("sessions", .array(sessions)),
            .init("files", .object(FileState.allCases.map { .init($0.rawValue, .integer(Int64(counts[$0] ?? 0))) })),
            .init("pending", pendingJSON),
        ])
    }

    /// What is sealed and not at the remote yet. Costs what is under way, whatever the remote holds.
    private var pendingJSON: JSONValue {
        let (files, bytes) = state.withLock { state in
            state.active.reduce((0, ByteCount.zero)) { sum, id in
                guard let standing = state.index[id]?.revisions.last?.standing else { return sum }
                return (sum.0 + 1, sum.1 + (standing.size - standing.acknowledged))
            }
        }
        return ["files": .integer(Int64(files)), "bytes": .bytes(bytes)]
    }

    var limitsJSON: JSONValue {
        let facts = backend.facts
        return .object([
            .init("name", .string(name.description)), .init("kind", .string(kind)),
            .init("maximum_file_size", facts.maximumFileSize.map { .bytes($0) } ?? .null),
            .init("maximum_name_length", .integer(Int64(facts.names.maximumLength))),
            .init("completes_groups", .bool(facts.completesGroups)),
            .init("renames_committed", .bool(facts.renamesCommitted)),
            .init("reads_ranges", .bool(facts.readsRanges)), .init("size_needed_first", .bool(facts.needsSizeFirst)),
            .init("chunk_size", .bytes(facts.preferredChunk)),
            .init("parallel_chunks", .integer(Int64(facts.parallelChunks))),
            .init("session_depth", .integer(Int64(facts.sessionDepth))),
            .init("makes_directories", .bool(facts.makesDirectories)), .init("names", facts.names.json),
            .init("passes_through_spool", .bool(facts.uploadsWhileWriting && services.kept.passesOn)),
            .init("spool_space", (try? services.spool.space()).map { .bytes($0.available) } ?? .null),
        ])
    }
}
