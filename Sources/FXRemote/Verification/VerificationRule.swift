internal import FXSystem

/// Compares what was committed with what a service lists. Pure.
///
/// A file is the same one when its id at the service is, else when its name is.
struct VerificationRule {
    /// A file that was committed, as the journal has it; the path begins below the session.
    struct Known: Sendable, Equatable {
        var path: RelativePath
        var size: ByteCount
        /// nil of a file that was not written here, when the service does not tell.
        var sha256: SHA256Digest?
        var remoteID: String
    }

    /// A file the service lists; the path is made of names as the service has them.
    struct Listed: Sendable, Equatable {
        var path: [UInt8]
        var size: ByteCount
        var sha256: SHA256Digest?
        var remoteID: String
    }

    private(set) var problems: [VerificationProblem] = []
    /// How many files the service lists that nobody here knows.
    private(set) var unknown = 0

    init(known: [Known], listed: [Listed]) {
        var byID: [String: Int] = [:]
        var byPath: [[UInt8]: Int] = [:]
        for (index, file) in listed.enumerated() {
            byID[file.remoteID] = index
            byPath[file.path] = index
        }
        var seen = Set<Int>()
        for file in known {
            if let index = byID[file.remoteID] {
                seen.insert(index)
                compare(file, listed[index])
            } else if let index = byPath[file.path.bytes] {
                seen.insert(index)
                compareReplacement(file, listed[index])
            } else {
                problems.append(VerificationProblem(file, .missing))
            }
        }
        unknown = listed.count - seen.count
    }

    private mutating func compare(_ known: Known, _ listed: Listed) {
        if listed.size != known.size {
            problems.append(VerificationProblem(known, .size(listed.size)))
        } else if let found = listed.sha256, let wanted = known.sha256, found != wanted {
            problems.append(VerificationProblem(known, .digest(found)))
        }
    }

    /// Another id under the same name: the same content only when the digest says so.
    private mutating func compareReplacement(_ known: Known, _ listed: Listed) {
        if let found = listed.sha256, let wanted = known.sha256, found == wanted, listed.size == known.size { return }
        if listed.size != known.size {
            problems.append(VerificationProblem(known, .size(listed.size)))
        } else if let found = listed.sha256, known.sha256 != nil {
            problems.append(VerificationProblem(known, .digest(found)))
        } else {
            problems.append(VerificationProblem(known, .replaced))
        }
    }
}

/// A file that is not at the service as it was committed.
struct VerificationProblem: Sendable, Equatable {
    enum Kind: Sendable, Equatable {
        case missing
        case size(ByteCount)
        /// Its size was only tried.
        case larger, smaller
        case digest(SHA256Digest)
        /// Another file has its name, and the service does not tell what is in it.
        case replaced
        /// It could not be looked at or read; why.
        case unreadable(RemoteError)
    }

    /// Below the session.
    var path: RelativePath
    var size: ByteCount
    var sha256: SHA256Digest?
    var kind: Kind

    init(_ file: VerificationRule.Known, _ kind: Kind) {
        (path, size, sha256, self.kind) = (file.path, file.size, file.sha256, kind)
    }

    /// For a person, after the path.
    var sentence: String {
        switch kind {
        case .missing: "is not at the service"
        case .size(let found): "has \(found.rawValue) bytes at the service, \(size.rawValue) were sent"
        case .larger: "is larger at the service than the \(size.rawValue) bytes that were sent"
        case .smaller: "is smaller at the service than the \(size.rawValue) bytes that were sent"
        case .digest(let found): "has SHA-256 \(found.text) at the service, \(sha256?.text ?? "another") was sent"
        case .replaced: "was replaced at the service by another file of that name"
        case .unreadable(let error): "could not be looked at: \(error.message)"
        }
    }

    var json: JSONValue {
        let (word, foundSize, foundDigest): (String, ByteCount?, String?) =
            switch kind {
            case .missing: ("missing", nil, nil)
            case .size(let found): ("size", found, nil)
            case .larger, .smaller: ("size", nil, nil)
            case .digest(let found): ("sha256", nil, found.text)
            case .replaced: ("replaced", nil, nil)
            case .unreadable: ("unreadable", nil, nil)
            }
        return [
            "path": .string(path.description), "problem": .string(word), "size": .bytes(size),
            "sha256": .text(sha256?.text), "found_size": foundSize.map { .bytes($0) } ?? .null,
            "found_sha256": .text(foundDigest), "sentence": .string(sentence),
        ]
    }
}
