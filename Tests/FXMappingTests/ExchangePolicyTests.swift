import FXSystem
import Foundation
import Glibc
import SystemPackage
import Testing

@testable import FXMapping

@Suite("Exchange policies")
struct ExchangePolicyTests {
    /// The policy table through this API: what each policy answers; nil is success.
    struct Row: Sendable, CustomTestStringConvertible {
        let operation: String
        let answers: [Policy: Errno?]
        let attempt: @Sendable (ExchangeBench) throws -> Void
        var testDescription: String { operation }

        init(
            _ operation: String, _ keepVersions: Errno?, _ keepNames: Errno?, _ appendOnly: Errno?, _ writeOnce: Errno?,
            readOnly: Errno? = .readOnlyFileSystem, _ attempt: @escaping @Sendable (ExchangeBench) throws -> Void
        ) {
            self.operation = operation
            answers = [
                .keepVersions: keepVersions, .keepNames: keepNames, .appendOnly: appendOnly, .writeOnce: writeOnce,
                .readOnly: readOnly,
            ]
            self.attempt = attempt
        }
    }

    static let rows: [Row] = [
        Row("download of a new name", nil, nil, nil, nil) { try $0.put("new", to: try $0.file("new")) },
        Row("download into a new folder", nil, nil, nil, nil) {
            try $0.put("new", to: try $0.file("new", in: ["a", "b"]))
        },
        Row("download onto a sealed file", nil, .notPermitted, .notPermitted, .notPermitted) {
            try $0.put("new", to: try $0.file("f"))
        },
        Row("the same, asked before", nil, .notPermitted, .notPermitted, .notPermitted) {
            try $0.exchange.checkDownload(to: try $0.file("f"))
        },
        Row("download onto a directory", .isDirectory, .isDirectory, .isDirectory, .isDirectory) {
            try $0.put("new", to: try $0.file("d"))
        },
        Row("renameFile", nil, .notPermitted, .notPermitted, .notPermitted) {
            _ = try $0.exchange.renameFile(try $0.file("f"), to: "g")
        },
        Row("renameFile of a directory", nil, .notPermitted, .notPermitted, .notPermitted) {
            _ = try $0.exchange.renameFile(try $0.file("d"), to: "e")
        },
        Row("renameFile onto a sealed file", .fileExists, .fileExists, .fileExists, .fileExists) {
            _ = try $0.exchange.renameFile(try $0.file("f"), to: "other")
        },
        Row("moveFile", nil, .notPermitted, .notPermitted, .notPermitted) {
            _ = try $0.exchange.moveFile(try $0.file("f"), to: try TypeName("scans"), try FolderPath(["d"]))
        },
        Row("copyFile", nil, nil, nil, nil) {
            _ = try $0.exchange.copyFile(try $0.file("f"), to: try TypeName("scans"), as: "g")
        },
        Row("copyFile onto a sealed file", .fileExists, .fileExists, .fileExists, .fileExists, readOnly: .fileExists) {
            _ = try $0.exchange.copyFile(try $0.file("f"), to: try TypeName("scans"), as: "other")
        },
        Row("createDir", nil, nil, nil, nil) {
            _ = try $0.exchange.createDir(try FileAddress(try $0.type(), path: ["n"]))
        },
        Row("createTypeDirs", nil, nil, nil, nil) {
            _ = try $0.exchange.createTypeDirs(try $0.type(), try FolderPath(["n", "m"]))
        },
        Row("upload", nil, nil, nil, nil, readOnly: nil) { bench in
            let text = try bench.get(try bench.file("f"))
            #expect(text == "sealed")
        },
        Row("deleteType", nil, nil, nil, nil, readOnly: nil) { try $0.exchange.deleteType(try $0.type()) },
    ]

    @Test("No operation loses a sealed byte, in any policy", arguments: rows)
    func table(row: Row) throws {
        for policy in Policy.allCases {
            let bench = try ExchangeBench()
            try bench.map()
            try bench.lay("scans/f", "sealed")
            try bench.lay("scans/other", "other")
            _ = try bench.scratch.directory("scans/d")
            try bench.registry.setPolicy(
                policy, ofType: try bench.type().type, of: try bench.type().entity, in: bench.exchange.application,
                weakening: .allowed)
            let before = try Self.bytes(below: bench.scratch.path + "/scans")
            var failure: ExchangeError?
            do { try row.attempt(bench) } catch let error as ExchangeError { failure = error }
            #expect(failure?.errno == row.answers[policy] ?? .ioError, "\(policy): \(String(describing: failure))")
            if failure?.errno == .notPermitted || failure?.errno == .readOnlyFileSystem {
                guard case .refused(_, policy, _) = failure else {
                    Issue.record("\(policy): \(String(describing: failure))")
                    continue
                }
            }
            let after = try Self.bytes(below: bench.scratch.path + "/scans")
            #expect(before.isSubset(of: after), "\(policy): sealed bytes went")
            if failure != nil { #expect(before == after, "\(policy): something changed although it was refused") }
        }
    }

    /// All contents below a directory, versions included, as multiset of texts.
    static func bytes(below path: String) throws -> Set<String> {
        var counted: [String: Int] = [:]
        var found: Set<String> = []
        let files = try #require(FileManager.default.enumerator(atPath: path))
        for case let name as String in files {
            guard let data = FileManager.default.contents(atPath: "\(path)/\(name)") else { continue }
            let text = String(decoding: data, as: UTF8.self)
            counted[text, default: 0] += 1
            found.insert("\(text)#\(counted[text, default: 0])")
        }
        return found
    }

    @Test(
        "A file that is replaced becomes a version with its bytes, and a version is durable before the new file is seen"
    )
    func versions() throws {
        let bench = try ExchangeBench()
        try bench.map()
        for text in ["one", "two", "three"] { try bench.put(text, to: try bench.file("f", in: ["d"])) }
        #expect(try bench.versions("d/f") == ["one", "two"])
        #expect(bench.onDisk("scans/d/f") == "three")
        #expect(try bench.exchange.listTypeContent(try bench.type()).files.map(\.name) == ["d"])
    }

    @Test("A link that is replaced is kept, and what it led to is not touched")
    func replacedLink() throws {
        let bench = try ExchangeBench()
        try bench.map()
        try bench.lay("outside", "outside")
        symlink(bench.scratch.path + "/outside", bench.scratch.path + "/scans/f")
        try bench.put("new", to: try bench.file("f"))
        #expect(bench.onDisk("scans/f") == "new" && bench.onDisk("outside") == "outside")
    }

    @Test("A sealed file moves only into a type that protects as much")
    func weakerTypes() throws {
        let bench = try ExchangeBench()
        try bench.map()
        try bench.map("weak", .keepNames)
        try bench.put("x", to: try bench.file("f"))
        let error = #expect(throws: ExchangeError.self) {
            try bench.exchange.moveFile(try bench.file("f"), to: try TypeName("weak"))
        }
        guard case .refused = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(bench.onDisk("scans/f") == "x")
        #expect(
            try bench.exchange.copyFile(try bench.file("f"), to: try TypeName("weak")).type == (try bench.type("weak")))
        let refusal = try #require(bench.events.recent.last { $0.kind == "refused" })
        #expect(refusal.json["rule"]?.string?.contains("protects less") == true)
    }

    @Test(
        "Two hundred downloads to one name at once leave one whole file and 199 versions, and nobody ever sees a part")
    func stampede() throws {
        let bench = try ExchangeBench()
        try bench.map()
        let second = try bench.secondProcess()
        defer { second.gate.stop() }
        let apis = [bench.exchange, second.exchange(for: bench.exchange.application)]
        let file = try bench.file("f", in: ["d"])
        let length = 200_000
        let failures = Monitor<[String]>([])
        let left = Monitor(200)
        let watcher = try ServiceThread(name: "watch") {
            while left.withLock({ $0 > 0 }) {
                guard let names = try? FileManager.default.contentsOfDirectory(atPath: bench.scratch.path + "/scans/d")
                else { continue }
                if !(names == ["f"] || names.isEmpty) { failures.withLock { $0.append("listed \(names)") } }
                if let seen = bench.onDisk("scans/d/f"), seen.utf8.count != length || Set(seen).count != 1 {
                    failures.withLock { $0.append("saw \(seen.utf8.count) bytes") }
                }
            }
        }
        // Sixteen at a time: more threads than cores, fewer than the machine minds.
        DispatchQueue.concurrentPerform(iterations: 16) { worker in
            for number in stride(from: worker, to: 200, by: 16) {
                do {
                    let character = try #require(Unicode.Scalar(UInt32(0x21 + number % 90)))
                    let content = try apis[number % 2].beginDownload(near: number % 3 == 0 ? nil : file.type)
                    let bytes = [UInt8](repeating: UInt8(character.value), count: length / 4)
                    for _ in 0..<4 { try content.write(bytes) }
                    _ = try apis[number % 2].download(content, to: file)
                } catch { failures.withLock { $0.append("\(error)") } }
                left.withLock { $0 -= 1 }
            }
        }
        watcher.join()
        #expect(failures.withLock { $0 } == [])
        let versions = try bench.versions("d/f")
        #expect(versions.count == 199)
        #expect(
            (versions + [bench.onDisk("scans/d/f") ?? ""]).allSatisfy { $0.utf8.count == length && Set($0).count == 1 })
        #expect(bench.shared.transfers.running == 0 && bench.shared.gate.activeFiles == 0)
    }
}
