import FXSystem
import Foundation
import Glibc
import ServiceFixtures
import Testing

@testable import FXServe

extension ServeTests {
    /// Every operation that reaches into a type, where the type or a path in it cannot be worked with.
    @Suite("Places that cannot be worked with") struct Places {
        enum Trouble: String, CaseIterable, Sendable {
            case unmapped, vanished, linkInThePath, closedDirectory

            /// Code and status of every refusal.
            var refusal: (code: String, status: Int) {
                switch self {
                case .unmapped: ("356", 400)
                case .vanished: ("801", 400)
                case .linkInThePath, .closedDirectory: ("803", 403)
                }
            }
        }

        /// Each operation on the file `f` of the directory `d` of the type `t`.
        private static let operations: [(String, JSONValue)] = {
            func body(_ more: (String, JSONValue)...) -> JSONValue {
                .object([.init("entity", "e"), .init("type", "t")] + more.map { .init($0.0, $0.1) })
            }
            func two(_ more: (String, JSONValue)...) -> JSONValue {
                .object(
                    [.init("entity", "e"), .init("fromType", "t"), .init("toType", "t"), .init("fileName", "f")]
                        + more.map { .init($0.0, $0.1) })
            }
            return [
                ("list-type-content", body(("relPath", ["d"]))),
                ("get-access-mode", body(("fileName", "f"), ("relPath", ["d"]))),
                ("get-file-info", body(("fileName", "f"), ("relPath", ["d"]))),
                ("create-dir", body(("relPath", ["d", "new"]))),
                ("create-dir", body(("relPath", ["d", "deep", "new"]), ("recursive", true))),
                ("copy-file", two(("newFileName", "new"), ("fromRelPath", ["d"]), ("toRelPath", ["d"]))),
                ("move-file", two(("fromRelPath", ["d"]), ("toRelPath", ["d", "new"]))),
                ("rename-file", body(("fileName", "f"), ("newFileName", "new"), ("relPath", ["d"]))),
                ("upload", body(("fileName", "f"), ("relPath", ["d"]))),
            ]
        }()

        @Test(
            "Each operation is refused with the code of what is wrong, nothing is changed, and nothing is seen",
            arguments: Trouble.allCases)
        func each(trouble: Trouble) throws {
            let served = try Served(asOrdinaryUser: true)
            let outside = try served.scratch.directory("outside")
            try "secret".write(toFile: "\(outside)/f", atomically: false, encoding: .utf8)
            try prepare(trouble, served, outside)
            defer { chmod("\(served.scratch.path)/data/d", 0o700) }
            let page = served.page()
            for (operation, body) in Places.operations {
                let answer = try page.call(operation, body)
                #expect(answer.status == trouble.refusal.status, "\(operation): \(answer.text.prefix(200))")
                #expect(try RESTPage.code(answer) == trouble.refusal.code, "\(operation): \(answer.text.prefix(200))")
                #expect(!answer.text.contains("secret"), "\(operation)")
            }
            let written = try page.download("e", "t", "new", [1], relPath: ["d"], implicit: false)
            #expect(try RESTPage.code(written) == trouble.refusal.code, "download: \(written.text.prefix(200))")
            // Asks whether there is something, so that no is an answer; never yes.
            let exists = try page.call("exist-file", ["entity": "e", "type": "t", "relPath": ["d", "f"]])
            #expect(exists.json?["data"] != true && exists.status < 500, "\(exists.text)")
            // Of aliases, which need no directory.
            #expect(try page.data("exist-type", ["entity": "e", "type": "t"]) == true)
            for (operation, body) in [
                ("list-type", ["entity": "e", "type": "t"]), ("list-types", ["entity": "e"]),
                ("list-content", ["entity": "e"]),
            ] as [(String, JSONValue)] {
                let answer = try page.call(operation, body)
                #expect(answer.status == 200 && !answer.text.contains("secret"), "\(operation): \(answer.text)")
            }
            #expect(try Served.names(below: outside) == ["f"])
            #expect(try String(contentsOfFile: "\(outside)/f", encoding: .utf8) == "secret")
        }

        @Test(
            "A mapped directory that is closed itself is refused by every operation that looks into it, and stays as it is"
        )
        func closedRoot() throws {
            let served = try Served(asOrdinaryUser: true)
            let data = try served.ownDirectory("data")
            _ = try served.ownDirectory("data/d")
            try "secret".write(toFile: "\(data)/d/f", atomically: false, encoding: .utf8)
            try served.map("e", "t", at: data)
            try #require(chmod(data, 0) == 0)
            defer { chmod(data, 0o700) }
            let page = served.page()
            for (operation, body) in Places.operations {
                #expect(try page.code(operation, body) == "803", "\(operation)")
            }
            let written = try page.download("e", "t", "new", [1], relPath: ["d"], implicit: true)
            #expect(try RESTPage.code(written) == "803", "\(written.text.prefix(200))")
            // Those that ask: nobody answers, so that the mapping stays.
            for (operation, body) in [
                ("create-type", ["entity": "e", "type": "t", "initPath": .string(data), "modal": false]),
                ("update-type", ["entity": "e", "type": "t"]),
            ] as [(String, JSONValue)] {
                #expect(try page.code(operation, body) == "800", "\(operation)")
            }
            let dirs = try page.call("create-type-dirs", ["entity": "e", "type": "t", "relPath": ["d", "new"]])
            #expect(try RESTPage.code(dirs) == "803", "\(dirs.text.prefix(200))")
            #expect(try page.data("list-type", ["entity": "e", "type": "t"])["path"]?.string == data)
            // Forgets an alias, which needs no directory.
            #expect(try page.data("delete-type", ["entity": "e", "type": "t"]) == true)
            try #require(chmod(data, 0o700) == 0)
            #expect(try Served.names(below: data) == ["d", "d/f"])
            #expect(try String(contentsOfFile: "\(data)/d/f", encoding: .utf8) == "secret")
        }

        private func prepare(_ trouble: Trouble, _ served: Served, _ outside: String) throws {
            if trouble == .unmapped {
                let made = try served.fxmount(["type", "create", "e", "t", "--unmapped", "--app", "app.example.org"])
                return try #require(made.code == 0, "\(made.errors)")
            }
            let data = try served.ownDirectory("data")
            try served.map("e", "t", at: data)
            switch trouble {
            case .unmapped: return
            case .vanished: try FileManager.default.moveItem(atPath: data, toPath: "\(served.scratch.path)/away")
            case .linkInThePath: try #require(symlink(outside, "\(data)/d") == 0)
            case .closedDirectory:
                _ = try served.ownDirectory("data/d")
                try "bytes".write(toFile: "\(data)/d/f", atomically: false, encoding: .utf8)
                try #require(chmod("\(data)/d", 0) == 0)
            }
        }
    }
}
