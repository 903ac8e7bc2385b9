import FXSystem
import Foundation
import ServiceFixtures
import Testing

extension ServeTests {
    /// The table of policies, through REST: no operation loses a sealed byte.
    @Suite("Nothing is lost") struct NoDelete {
        private static let policies = ["keep-versions", "keep-names", "append-only", "write-once", "read-only"]
        private static let original = Array("the sealed bytes".utf8)

        /// What operations may do to a sealed file, by policy; the rest is refused with the code for rights.
        private static func allows(_ operation: String, _ policy: String) -> Bool {
            switch operation {
            case "replace", "rename", "rename a directory", "move", "move a directory", "move to a weaker type":
                policy == "keep-versions"
            case "copy", "create", "create in a new directory", "create-dir", "create-type-dirs": policy != "read-only"
            case "read", "delete-type": true
            default: false
            }
        }

        @Test(
            "Every operation on a sealed file, under every policy: allowed or refused as the table says, and its bytes are kept",
            arguments: policies)
        func table(policy: String) throws {
            for operation in NoDelete.operations {
                let served = try Served()
                let directory = try served.map("e", "t", policy: policy)
                try FileManager.default.createDirectory(atPath: "\(directory)/d", withIntermediateDirectories: true)
                try Data(NoDelete.original).write(to: URL(fileURLWithPath: "\(directory)/f"))
                try Data(NoDelete.original).write(to: URL(fileURLWithPath: "\(directory)/d/inner"))
                try FileManager.default.createDirectory(atPath: "\(directory)/other", withIntermediateDirectories: true)
                let weaker = try served.map("e", "weaker", policy: "keep-versions")
                let answer = try act(operation, served.page())
                if operation == "move to a weaker type", answer.status == 200 {
                    #expect(
                        try Data(contentsOf: URL(fileURLWithPath: "\(weaker)/f")) == Data(NoDelete.original),
                        "\(policy)")
                } else if NoDelete.allows(operation, policy) {
                    #expect(answer.status == 200, "\(operation) in \(policy): \(answer.text)")
                } else {
                    #expect(answer.status == 403, "\(operation) in \(policy): \(answer.text)")
                    #expect(try RESTPage.code(answer) == "803")
                    #expect(try Data(contentsOf: URL(fileURLWithPath: "\(directory)/f")) == Data(NoDelete.original))
                }
                #expect(
                    try holdsOriginal(directory) || holdsOriginal(weaker), "\(operation) in \(policy) lost the bytes")
            }
        }

        private static let operations = [
            "replace", "rename", "rename a directory", "move", "move a directory", "move to a weaker type", "copy",
            "create", "create in a new directory", "create-dir", "create-type-dirs", "read", "delete-type",
        ]

        private func act(_ operation: String, _ page: RESTPage) throws -> LoopbackAnswer {
            func move(_ name: JSONValue, to type: JSONValue, _ path: JSONValue) throws -> LoopbackAnswer {
                try page.call(
                    "move-file",
                    ["entity": "e", "fromType": "t", "toType": type, "fileName": name, "toRelPath": path])
            }
            switch operation {
            case "rename a directory":
                return try page.call("rename-file", ["entity": "e", "type": "t", "fileName": "d", "newFileName": "g"])
            case "move a directory": return try move("d", to: "t", ["other"])
            case "move to a weaker type": return try move("f", to: "weaker", [])
            case "create in a new directory":
                return try page.download("e", "t", "new", Array("other bytes".utf8), relPath: ["a", "b"])
            case "create-dir", "create-type-dirs":
                return try page.call(operation, ["entity": "e", "type": "t", "relPath": ["made"]])
            case "read": return try page.call("upload", ["entity": "e", "type": "t", "fileName": "f"])
            case "delete-type": return try page.call("delete-type", ["entity": "e", "type": "t"])
            case "replace": return try page.download("e", "t", "f", Array("other bytes".utf8))
            case "create": return try page.download("e", "t", "new", Array("other bytes".utf8))
            case "rename":
                return try page.call("rename-file", ["entity": "e", "type": "t", "fileName": "f", "newFileName": "g"])
            case "move":
                return try page.call(
                    "move-file", ["entity": "e", "fromType": "t", "toType": "t", "fileName": "f", "toRelPath": ["d"]])
            default:
                return try page.call(
                    "copy-file", ["entity": "e", "fromType": "t", "toType": "t", "fileName": "f", "newFileName": "g"])
            }
        }

        /// Somewhere below the directory, versions included, a file holds exactly the original bytes.
        private func holdsOriginal(_ directory: String) throws -> Bool {
            try Served.names(below: directory).contains {
                FileManager.default.contents(atPath: "\(directory)/\($0)") == Data(NoDelete.original)
            }
        }

        @Test("copy, move and rename never replace an existing name")
        func existingTargets() throws {
            let served = try Served()
            let directory = try served.map("e", "t")
            try FileManager.default.createDirectory(atPath: "\(directory)/d", withIntermediateDirectories: true)
            for name in ["f", "g", "d/f"] {
                try Data(name.utf8).write(to: URL(fileURLWithPath: "\(directory)/\(name)"))
            }
            for operation in ["rename", "move", "copy"] {
                let answer = try act(operation, served.page())
                #expect(answer.status == 400)
                #expect(try RESTPage.code(answer) == "801")
            }
            for name in ["f", "g", "d/f"] {
                #expect(FileManager.default.contents(atPath: "\(directory)/\(name)") == Data(name.utf8))
            }
        }

        @Test("Downloads to one name at once: readers see one whole file or another, and none is lost")
        func atOnce() throws {
            let served = try Served()
            let directory = try served.map("e", "t")
            let contents = (0..<6).map { number in [UInt8](repeating: UInt8(65 + number), count: 300_000) }
            let threads = Threads()
            for content in contents {
                threads.start {
                    let answer = try served.page().download("e", "t", "f", content)
                    #expect(answer.status == 200)
                }
            }
            threads.start {
                for _ in 0..<20 {
                    let answer = try served.page().call("upload", ["entity": "e", "type": "t", "fileName": "f"])
                    if answer.status == 200 { #expect(contents.contains(answer.body)) }
                }
            }
            try threads.join()
            let kept = try Served.names(below: directory).compactMap {
                FileManager.default.contents(atPath: "\(directory)/\($0)")
            }
            for content in contents { #expect(kept.contains(Data(content))) }
        }
    }
}

/// Threads that are waited for, and the first of their errors.
final class Threads: Sendable {
    private let state = Monitor<(running: Int, failure: (any Error)?)>((0, nil))

    func start(_ body: @escaping @Sendable () throws -> Void) {
        state.withLock { $0.running += 1 }
        do {
            _ = try ServiceThread(name: "test") { [state] in
                do { try body() } catch { state.withLock { $0.failure = $0.failure ?? error } }
                state.withLock { $0.running -= 1 }
            }
        } catch {
            state.withLock {
                $0.running -= 1
                $0.failure = error
            }
        }
    }

    func join() throws {
        let outcome = state.wait(until: .after(.seconds(240))) {
            $0.running == 0 ? Result { [f = $0.failure] in if let f { throw f } } : nil
        }
        guard let outcome else { throw Served.Failure("threads did not end") }
        try outcome.get()
    }
}
