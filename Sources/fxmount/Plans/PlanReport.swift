internal import FXSystem
internal import SystemPackage

/// Everything a plan says, as it is shown.
struct PlanReport: Sendable, Equatable {
    struct Line: Sendable, Equatable {
        /// As the mount would show it, below the destination.
        var path: RelativePath
        var size: ByteCount
        var verdict: PlanVerdict
    }

    var source: String
    var destination: String
    private(set) var lines: [Line] = []

    init(source: String, destination: String) { (self.source, self.destination) = (source, destination) }

    mutating func add(_ path: RelativePath, _ size: ByteCount, _ verdict: PlanVerdict) {
        lines.append(Line(path: path, size: size, verdict: verdict))
    }

    var refused: [(line: Line, refusal: PlanRefusal)] {
        lines.compactMap { line in
            if case .refuse(let refusal) = line.verdict { (line, refusal) } else { nil }
        }
    }

    /// Files and bytes with this verdict.
    func total(_ verdict: PlanVerdict) -> (files: Int, size: ByteCount) {
        lines.reduce((0, ByteCount.zero)) { sum, line in
            line.verdict == verdict ? (sum.0 + 1, sum.1 + line.size) : sum
        }
    }

    var isFine: Bool { refused.isEmpty }

    var json: JSONValue {
        func total(_ verdict: PlanVerdict) -> JSONValue {
            let (files, size) = self.total(verdict)
            return ["files": .integer(Int64(files)), "bytes": .bytes(size)]
        }
        return [
            "source": .string(source), "destination": .string(destination), "ok": .bool(isFine),
            "send": total(.send), "present": total(.present),
            "directories": .integer(Int64(self.total(.directory).files)),
            "refused": .integer(Int64(refused.count)), "entries": .array(lines.map(\.json)),
        ]
    }
}

extension PlanReport.Line {
    /// `send`, `present`, `directory`, `refused`, or `stays` for a file nobody would be told of.
    var word: String {
        switch verdict {
        case .send: "send"
        case .present: "present"
        case .directory: "directory"
        case .refuse(let refusal): refusal.errno == nil ? "stays" : "refused"
        }
    }

    var refusal: PlanRefusal? { if case .refuse(let refusal) = verdict { refusal } else { nil } }

    var json: JSONValue {
        [
            "path": .string(path.description), "action": .string(word), "size": .bytes(size),
            "errno": .text(refusal?.errno?.symbol), "reason": .text(refusal?.sentence),
        ]
    }
}
