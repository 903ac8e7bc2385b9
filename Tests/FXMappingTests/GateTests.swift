import FXSystem
import SystemPackage
import Testing

@testable import FXMapping

@Suite struct GateTests {
    /// What each policy answers to an attempt on a sealed file; nil is success.
    struct Row: Sendable, CustomTestStringConvertible {
        let operation: String
        let answers: [Policy: Errno?]
        let attempt: @Sendable (GateBench) throws -> Void
        /// The file is another one or has other bytes afterwards, where it succeeded.
        let isKept: Bool
        var testDescription: String { operation }

        init(
            _ operation: String, _ keepVersions: Errno?, _ keepNames: Errno?, _ appendOnly: Errno?, _ writeOnce: Errno?,
            keeps isKept: Bool = false, _ attempt: @escaping @Sendable (GateBench) throws -> Void
        ) {
            self.operation = operation
            answers = [
                .keepVersions: keepVersions, .keepNames: keepNames, .appendOnly: appendOnly, .writeOnce: writeOnce,
                .readOnly: .readOnlyFileSystem,
            ]
            self.isKept = isKept
            self.attempt = attempt
        }
    }

    static let rows: [Row] = [
        Row("unlink", .notPermitted, .notPermitted, .notPermitted, .notPermitted) { try $0.remove("f") },
        Row("rename away", nil, .notPermitted, .notPermitted, .notPermitted) { try $0.rename("f", "g") },
        Row("exchange", nil, .notPermitted, .notPermitted, .notPermitted) { try $0.rename("f", "other", .exchange) },
        Row("rename over", nil, .notPermitted, .notPermitted, .notPermitted, keeps: true) { bench in
            if bench.root.policy == .readOnly { return try bench.rename("other", "f") }
            try bench.make("n.part", "new")
            try bench.rename("n.part", "f")
        },
        Row("truncate", nil, nil, .notPermitted, .notPermitted, keeps: true) { try $0.truncate("f", to: 1) },
        Row("open for writing", nil, nil, .notPermitted, .notPermitted, keeps: true) { bench in
            let file = try bench.open("f", .writeOnly)
            try bench.write("X", to: file, name: "f")
            try bench.close(file)
        },
        Row("open with O_TRUNC", nil, nil, .notPermitted, .notPermitted, keeps: true) {
            try $0.close($0.open("f", [.writeOnly, .truncate]))
        },
        Row("open O_RDONLY with O_TRUNC", nil, nil, .notPermitted, .notPermitted, keeps: true) {
            try $0.close($0.open("f", [.readOnly, .truncate]))
        },
        Row("create over it", nil, nil, .notPermitted, .notPermitted, keeps: true) {
            try $0.close($0.create("f", [.writeOnly, .create, .truncate]))
        },
        Row("append", nil, nil, nil, .notPermitted) { bench in
            let file = try bench.open("f", [.writeOnly, .append])
            try bench.write("more", to: file, at: 6, appending: true, name: "f")
            try bench.close(file)
        },
        Row("ftruncate of an appending handle", nil, nil, .notPermitted, .notPermitted, keeps: true) { bench in
            let file = try bench.open("f", [.writeOnly, .append])
            defer { file.release(mayBeMapped: false) { RelativePath() } }
            try file.truncate(to: .zero, place: try bench.place("f"), by: GateBench.caller)
        },
        Row("overwriting through an appending handle", nil, nil, .notPermitted, .notPermitted, keeps: true) { bench in
            let file = try bench.open("f", [.writeOnly, .append])
            defer { file.release(mayBeMapped: false) { RelativePath() } }
            try bench.write("X", to: file, at: 2, name: "f")
        },
        Row("punching a hole", nil, nil, .notPermitted, .notPermitted, keeps: true) { bench in
            let file = try bench.open("f", [.writeOnly, .append])
            defer { file.release(mayBeMapped: false) { RelativePath() } }
            try file.allocate(mode: 3, offset: 0, length: 4, place: try bench.place("f"), by: GateBench.caller)
        },
        Row("chmod 0", nil, nil, .notPermitted, .notPermitted) { bench in
            let file = try bench.root.descriptor.open(try Name("f"), .pathOnly)
            try bench.root.setAttributes(
                AttributeChange(permissions: 0), of: file, try bench.place("f"), by: GateBench.caller)
        },
        Row("chmod a-w", nil, nil, nil, nil) { bench in
            let file = try bench.root.descriptor.open(try Name("f"), .pathOnly)
            try bench.root.setAttributes(
                AttributeChange(permissions: 0o444), of: file, try bench.place("f"), by: GateBench.caller)
        },
        Row("link", nil, nil, nil, nil) { try $0.link("f", "second") },
        Row("mkdir", nil, nil, nil, nil) { bench in
            _ = try bench.root.makeDirectory(
                try bench.place("d"), in: bench.root.descriptor, mode: 0o755, by: GateBench.caller)
        },
    ]

    @Test(arguments: rows)
    func aSealedFileIsChangedOnlyAsItsPolicySays(row: Row) throws {
        for policy in Policy.allCases {
            let bench = try GateBench(policy)
            try bench.lay("f", "sealed")
            try bench.lay("other", "other")
            let before = try bench.status("f")
            let error = GateBench.errno { try row.attempt(bench) }
            #expect(error == row.answers[policy] ?? .ioError, "\(policy): \(row.operation)")
            if error != nil {
                #expect(try bench.text("f") == "sealed", "\(policy): \(row.operation)")
                #expect(try bench.status("f").identity == before.identity)
                #expect(bench.events.recent.contains { $0.kind == "refused" }, "\(policy): \(row.operation)")
                #expect(try bench.versions("f").isEmpty)
            } else if row.isKept && policy == .keepVersions {
                #expect(try bench.versions("f") == ["sealed"], "\(row.operation)")
                // The last writer is gone: sealed again.
                #expect(bench.root.isDraft(try bench.status("f")) == false, "\(row.operation)")
                #expect(GateBench.errno { try bench.remove("f") } == .notPermitted)
            }
            // A refused draft stays one.
            #expect(bench.shared.activeFiles == (bench.exists("n.part") ? 1 : 0), "\(policy): \(row.operation)")
        }
    }

    @Test(arguments: Policy.allCases.filter { $0 != .readOnly })
    func aDraftIsItsCreators(policy: Policy) throws {
        let bench = try GateBench(policy)
        let file = try bench.create("f", by: GateBench.other)
        try bench.write("draft", to: file, name: "f")
        #expect(GateBench.errno { try bench.remove("f", by: GateBench.caller) } == .notPermitted)
        #expect(GateBench.errno { try bench.rename("f", "g", by: GateBench.caller) } == .notPermitted)
        try bench.truncate("f", to: 2)
        try bench.rename("f", "g", by: GateBench.other)
        try bench.remove("g", by: GateBench.other)
        try bench.write("goes on", to: file, name: "f")
        try bench.close(file)
        #expect(!bench.exists("f") && !bench.exists("g"))
        #expect(bench.shared.activeFiles == 0)
        // No version of what was nobody's promise.
        #expect(!bench.exists(".fxversions"))
    }

    @Test(arguments: Policy.allCases.filter { $0 != .readOnly })
    func aClosedFileIsSealedInTheSameInstant(policy: Policy) throws {
        let bench = try GateBench(policy)
        let file = try bench.create("f")
        try bench.write("done", to: file, name: "f")
        // close(2) has returned; the kernel's RELEASE is still on its way.
        try file.flush { RelativePath() }
        #expect(GateBench.errno { try bench.remove("f") } == .notPermitted)
        #expect(!bench.root.isDraft(try bench.status("f")))
        if policy == .keepVersions {
            try bench.close(bench.open("f", [.writeOnly, .truncate]))
            #expect(try bench.versions("f") == ["done"])
        }
        file.release(mayBeMapped: false) { RelativePath() }
        #expect(GateBench.errno { try bench.remove("f") } == .notPermitted)
        #expect(bench.shared.activeFiles == 0)
    }

    @Test func everythingIsSealedInTheNextMount() throws {
        let bench = try GateBench(.writeOnce)
        try bench.make("f.part", "left")
        let root = try bench.restarted(.writeOnce)
        #expect(
            GateBench.errno { try root.remove(try bench.place("f.part"), in: root.descriptor, by: GateBench.caller) }
                == .notPermitted)
        root.shared.stop()
    }

    @Test func theNameOfTheVersionsIsNobodys() throws {
        let bench = try GateBench(.keepVersions)
        try bench.lay("f", "1")
        let reserved = ".fxversions"
        #expect(GateBench.errno { _ = try bench.create(reserved) } == .notPermitted)
        #expect(GateBench.errno { try bench.rename("f", reserved) } == .notPermitted)
        #expect(GateBench.errno { try bench.link("f", reserved) } == .notPermitted)
        #expect(GateBench.errno { try bench.remove(reserved) } == .notPermitted)
        try bench.truncate("f", to: 0)
        #expect(GateBench.errno { try bench.rename(reserved, "mine") } == .notPermitted)
        #expect(try bench.versions("f") == ["1"])
    }

    @Test func anotherFileAtTheNameIsStale() throws {
        let bench = try GateBench(.keepVersions)
        try bench.lay("f", "1")
        let identity = try bench.status("f").identity
        try bench.scratch.descriptor().rename(try Name("f"), to: try Name("g"), in: try bench.scratch.descriptor())
        try bench.lay("f", "2")
        for flags in [OpenFlags.readOnly, .writeOnly, [.writeOnly, .truncate]] {
            #expect(
                GateBench.errno {
                    _ = try bench.root.open(
                        try bench.place("f"), in: bench.root.descriptor, expecting: identity, flags: flags,
                        by: GateBench.caller)
                } == .staleNFSFileHandle)
        }
        #expect(try bench.text("f") == "2" && bench.text("g") == "1")
    }

    /// A temporary name can stand for sealed bytes, and a temporary directory for sealed files.
    @Test(arguments: [Policy.keepVersions, .appendOnly, .writeOnce])
    func noNameOfSealedBytesGoesIntoATypeThatProtectsLess(policy: Policy) throws {
        let bench = try GateBench(policy)
        let weak = try GateBench(.keepNames, shared: bench.shared, events: bench.events)
        let file = try bench.create("f.tmp")
        try bench.write("sealed", to: file, name: "f.tmp")
        try bench.link("f.tmp", "f")
        try bench.close(file)
        #expect(GateBench.errno { try bench.rename("f.tmp", into: weak, as: "f") } == .notPermitted)
        _ = try bench.root.makeDirectory(
            try bench.place("d.tmp"), in: bench.root.descriptor, mode: 0o755, by: GateBench.caller)
        #expect(GateBench.errno { try bench.rename("d.tmp", into: weak, as: "d") } == .notPermitted)
        // What is nobody's promise may go.
        try bench.make("g.tmp", "draft")
        try bench.rename("g.tmp", into: weak, as: "g")
        #expect(try weak.text("g") == "draft")
        #expect(try bench.text("f.tmp") == "sealed")
    }

    @Test func gitsObjectVimsBackupAndTarsPlaceholderEndWell() throws {
        let bench = try GateBench(.keepVersions)
        try bench.make("tmp_obj_1", "object")
        try bench.link("tmp_obj_1", "object")
        try bench.remove("tmp_obj_1")
        #expect(try bench.text("object") == "object")
        #expect(GateBench.errno { try bench.remove("object") } == .notPermitted)

        try bench.lay("text", "old")
        try bench.rename("text", "text~")
        try bench.make("text", "new")
        #expect(GateBench.errno { try bench.remove("text~", by: GateBench.other) } == .notPermitted)
        try bench.remove("text~")
        #expect(try bench.versions("text") == ["old"])

        let placeholder = try bench.create("link", [.writeOnly, .create, .exclusive], mode: 0)
        try bench.close(placeholder)
        try bench.remove("link")
        _ = try bench.root.makeSymbolicLink(
            try bench.place("link"), in: bench.root.descriptor, target: Array("text".utf8), by: GateBench.caller)
        #expect(GateBench.errno { try bench.remove("link") } == .notPermitted)
    }
}
