import FXSystem
import Foundation
import ServiceFixtures
import Testing

@testable import FXServe

extension ServeTests {
    /// Every operation with every parameter absent, wrong, too long, escaping.
    @Suite("Parameters") struct Parameters {
        /// A body each operation takes: with the type `t` and its directory `d` with a file `f` in it.
        private static func good(_ operation: FXServe.Operation) -> [(String, JSONValue)] {
            let type: [(String, JSONValue)] = [("entity", "e"), ("type", "t")]
            let two: [(String, JSONValue)] = [("entity", "e"), ("fromType", "t"), ("toType", "t")]
            switch operation {
            case .createType: return type + [("modal", false), ("initPath", "/nonexistent"), ("timeout", 1)]
            case .createTypeDirs: return type + [("relPath", ["d"]), ("modal", false), ("timeout", 1)]
            case .updateType: return type + [("timeout", 1)]
            case .deleteType, .existsType, .listType: return type
            case .listTypes, .listContent: return [("entity", "e"), ("page", ["start": 0, "size": 1])]
            case .listTypeContent:
                return type + [("relPath", ["d"]), ("page", ["start": 0, "size": 1, "sort": "ASC"])]
            case .existsFile, .createDir: return type + [("relPath", ["d", "f"])]
            case .getAccessMode, .getFileInfo, .upload: return type + [("fileName", "f"), ("relPath", ["d"])]
            case .copyFile:
                return two + [("fileName", "f"), ("newFileName", "g"), ("fromRelPath", ["d"]), ("toRelPath", ["d"])]
            case .moveFile: return two + [("fileName", "f"), ("fromRelPath", ["d"]), ("toRelPath", ["d"])]
            case .renameFile: return type + [("fileName", "f"), ("newFileName", "g"), ("relPath", ["d"])]
            case .download: return type + [("file", "bytes"), ("fileName", "f"), ("relPath", ["d"])]
            }
        }

        /// Values no name and no component of a path may have.
        private static let escaping = [
            "..", ".", "../../etc", "/etc", "a/b", "a\\b", "C:", "c:\\x", "a\u{0}b", "",
            String(repeating: "n", count: 256),
            ".fxversions",
        ]

        private static func wrong(_ kind: Parameter.Kind) -> [JSONValue] {
            let scalars: [JSONValue] = [17, true, ["a": 1], .number(1.5)]
            switch kind {
            case .fileName: return scalars + [["x"]] + escaping.map { .string($0) }
            // Aliases are no names of files: a backslash or a colon is a sign like any other in them.
            case .name:
                return scalars + [["x"]]
                    + escaping.filter { !$0.contains("\\") && !$0.contains(":") }.map { .string($0) }
            case .path:
                return scalars + ["x", [1], [["x"]], .array([JSONValue](repeating: "x", count: 3000))]
                    + escaping.map { ["d", .string($0)] }
            case .flag: return ["yes", 1, [], ["a": true]]
            case .seconds: return [0, -1, "5", .number(1.5), true, []]
            case .page: return [1, "x", ["start": -1], ["size": 0], ["size": -5], ["sort": "UP"], ["start": "0"]]
            case .localPath: return [1, true, ["a": 1], [1]]
            case .file: return []
            }
        }

        @Test(
            "Every operation refuses each parameter that is absent, wrong, too long or leads out, with the code for parameters",
            arguments: FXServe.Operation.allCases)
        func each(operation: FXServe.Operation) throws {
            let served = try Served()
            let directory = try served.map("e", "t")
            try FileManager.default.createDirectory(atPath: "\(directory)/d", withIntermediateDirectories: true)
            try "bytes".write(toFile: "\(directory)/d/f", atomically: false, encoding: .utf8)
            let before = try Served.names(below: served.scratch.path).filter {
                !$0.hasPrefix("state") && !$0.hasPrefix("desktop")
            }
            for parameter in operation.parameters where parameter.kind != .file {
                let name = parameter.field.rawValue
                let rest = Parameters.good(operation).filter { $0.0 != name }
                var values = Parameters.wrong(parameter.kind)
                if operation == .download {
                    // In a form everything is text, and a list is several parts.
                    values = values.filter { value in
                        if parameter.kind != .path { return value.string != nil }
                        return (value.elements ?? []).count > 1
                            && value.elements?.allSatisfy { $0.string != nil } == true
                    }
                }
                for value in values {
                    let answer = try send(operation, rest + [(name, value)], served)
                    #expect(answer.status == 400, "\(name) = \(value.text.prefix(60)): \(answer.text.prefix(200))")
                    #expect(
                        try RESTPage.code(answer) == "125",
                        "\(name) = \(value.text.prefix(60)): \(answer.text.prefix(200))")
                }
                if parameter.isRequired {
                    let answer = try send(operation, rest, served)
                    #expect(try RESTPage.code(answer) == "125", "no \(name): \(answer.text)")
                }
            }
            let after = try Served.names(below: served.scratch.path).filter {
                !$0.hasPrefix("state") && !$0.hasPrefix("desktop")
            }
            #expect(after == before)
        }

        private func send(_ operation: FXServe.Operation, _ fields: [(String, JSONValue)], _ served: Served) throws
            -> LoopbackAnswer
        {
            guard operation == .download else {
                return try served.page().call(operation.rawValue, .object(fields.map { .init($0.0, $0.1) }))
            }
            var parts: [(String, [UInt8])] = []
            for (name, value) in fields {
                let texts = value.elements?.compactMap(\.string) ?? [value.string ?? value.text]
                for text in texts { parts.append((name, Array(text.utf8))) }
            }
            return try served.page().download(parts)
        }

        @Test("Unknown entities and types, unmapped types, vanished and closed directories have their own codes")
        func missing() throws {
            let served = try Served()
            let directory = try served.map("e", "t")
            let page = served.page()
            #expect(try page.code("list-type-content", ["entity": "e", "type": "none"]) == "356")
            #expect(try page.code("list-type-content", ["entity": "none", "type": "t"]) == "356")
            #expect(try page.code("list-types", ["entity": "none"]) == "805")
            #expect(try page.code("list-content", ["entity": "none"]) == "805")
            _ = try served.fxmount(["type", "create", "e", "u", "--unmapped", "--app", "app.example.org"])
            #expect(try page.data("exist-type", ["entity": "e", "type": "u"]) == true)
            #expect(try page.data("list-type", ["entity": "e", "type": "u"])["status"] == "UNMAPPED")
            #expect(try page.code("list-type-content", ["entity": "e", "type": "u"]) == "356")
            #expect(try RESTPage.code(try page.download("e", "u", "f", [1], implicit: false)) == "356")
            #expect(try page.code("get-file-info", ["entity": "e", "type": "t", "fileName": "none"]) == "801")
            for (operation, more) in [
                ("exist-file", ["relPath": ["f"]]), ("get-access-mode", ["fileName": "f"]),
                ("get-file-info", ["fileName": "f"]), ("create-dir", ["relPath": ["d"]]),
                ("rename-file", ["fileName": "f", "newFileName": "g"]), ("upload", ["fileName": "f"]),
            ] as [(String, JSONValue)] {
                let body = JSONValue.object([.init("entity", "e"), .init("type", "none")] + (more.members ?? []))
                #expect(try page.code(operation, body) == "356", "\(operation)")
            }
            try "bytes".write(toFile: "\(directory)/f", atomically: false, encoding: .utf8)
            try FileManager.default.removeItem(atPath: try served.map("e", "gone"))
            for operation in ["copy-file", "move-file"] {
                for (target, code) in [("none", "356"), ("u", "356"), ("gone", "801")] {
                    let body: JSONValue = [
                        "entity": "e", "fromType": "t", "toType": .string(target), "fileName": "f", "newFileName": "f",
                    ]
                    #expect(try page.code(operation, body) == code, "\(operation) to \(target)")
                }
            }
            #expect(try String(contentsOfFile: "\(directory)/f", encoding: .utf8) == "bytes")
            try FileManager.default.removeItem(atPath: directory)
            #expect(try page.data("exist-type", ["entity": "e", "type": "t"]) == true)
            #expect(try page.data("list-type", ["entity": "e", "type": "t"])["files"] == 0)
            #expect(try page.code("list-type-content", ["entity": "e", "type": "t"]) == "801")
            #expect(try RESTPage.code(try page.download("e", "t", "f", [1])) == "801")
        }

        @Test("A proposed directory that cannot be one counts as none: the user is asked, and here there is nobody")
        func proposals() throws {
            let served = try Served()
            let page = served.page()
            let file = "\(served.scratch.path)/file"
            try "bytes".write(toFile: file, atomically: false, encoding: .utf8)
            for path in ["relative", "../up", "/none/such", file, "/" + String(repeating: "a", count: 300), ""] {
                let body: JSONValue = ["entity": "e", "type": "t", "initPath": .string(path), "modal": false]
                #expect(try page.code("create-type", body) == "800", "\(path)")
                #expect(try page.data("exist-type", ["entity": "e", "type": "t"]) == false, "\(path)")
            }
        }

        @Test("A comma is part of a name in JSON and as a file's name, and never a way to elsewhere")
        func commas() throws {
            let served = try Served()
            let directory = try served.map("e", "t")
            let page = served.page()
            _ = try page.data("create-dir", ["entity": "e", "type": "t", "relPath": ["a,b"]])
            #expect(try page.download("e", "t", "c,d", [1, 2]).status == 200)
            #expect(try page.upload("e", "t", "c,d") == [1, 2])
            #expect(try Served.names(below: directory).sorted() == ["a,b", "c,d"])
            for path in ["..,x", "x,..", "a,,b", ",a", "a,/b"] {
                #expect(try RESTPage.code(try page.download("e", "t", "f", [1], relPath: [path])) == "125", "\(path)")
            }
            #expect(try Served.names(below: directory).sorted() == ["a,b", "c,d"])
        }

        @Test("A download without its bytes, or with them twice, is refused and leaves nothing")
        func bytesOnce() throws {
            let served = try Served()
            let directory = try served.map("e", "t")
            let page = served.page()
            let whole = RESTPage.parts("e", "t", "f", [1])
            #expect(try RESTPage.code(try page.download(whole.filter { $0.0 != "file" })) == "125")
            #expect(try RESTPage.code(try page.download(whole + [("file", [2])])) == "125")
            #expect(try Served.names(below: directory).isEmpty)
        }

        @Test("A symbolic link leads nowhere, in the middle of a path or at its end")
        func links() throws {
            let served = try Served()
            let directory = try served.map("e", "t")
            let outside = try served.scratch.directory("outside")
            try "secret".write(toFile: "\(outside)/f", atomically: false, encoding: .utf8)
            symlink(outside, "\(directory)/out")
            symlink("\(outside)/f", "\(directory)/link")
            let page = served.page()
            #expect(try page.code("upload", ["entity": "e", "type": "t", "fileName": "link"]) == "803")
            #expect(
                try page.code("upload", ["entity": "e", "type": "t", "fileName": "f", "relPath": ["out"]]) == "803")
            #expect(try page.code("list-type-content", ["entity": "e", "type": "t", "relPath": ["out"]]) == "803")
            #expect(try RESTPage.code(try page.download("e", "t", "new", [1], relPath: ["out"])) == "803")
            #expect(try page.code("create-dir", ["entity": "e", "type": "t", "relPath": ["out", "d"]]) == "803")
            #expect(try page.code("create-type-dirs", ["entity": "e", "type": "t", "relPath": ["out", "d"]]) == "803")
            try "bytes".write(toFile: "\(directory)/own", atomically: false, encoding: .utf8)
            for operation in ["copy-file", "move-file"] {
                let body: JSONValue = [
                    "entity": "e", "fromType": "t", "toType": "t", "fileName": "own", "newFileName": "own",
                    "toRelPath": ["out"],
                ]
                #expect(try page.code(operation, body) == "803", "\(operation)")
            }
            #expect(try Served.names(below: outside) == ["f"])
        }

        @Test(
            "A file as large as the limit passes both ways; one byte more is refused with its code, early, and leaves nothing"
        )
        func limit() throws {
            let served = try Served(configuration: "[serve]\npayload_limit = \"1MiB\"\n")
            let directory = try served.map("e", "t")
            let exact = [UInt8](repeating: 7, count: 1 << 20)
            #expect(try served.page().download("e", "t", "exact", exact).status == 200)
            #expect(try served.page().upload("e", "t", "exact") == exact)
            let answer = try served.page().download("e", "t", "more", exact + [7])
            #expect(answer.status == 413)
            #expect(try RESTPage.code(answer) == "801")
            try Data(exact + [7]).write(to: URL(fileURLWithPath: "\(directory)/large"))
            #expect(try served.page().call("upload", ["entity": "e", "type": "t", "fileName": "large"]).status == 413)
            // Said beforehand, it is refused before a byte is sent.
            let connection = try LoopbackConnection(port: served.port)
            try connection.send(
                "POST \(RESTPage.base)download HTTP/1.1\r\nHost: localhost:\(served.port)\r\nOrigin: \(Served.app)\r\n"
                    + "X-CSRF-Token: t\r\nContent-Type: \(RESTPage.formType)\r\nContent-Length: 1073741824\r\n"
                    + "Expect: 100-continue\r\n\r\n")
            #expect(try connection.head().status == 413)
            #expect(try Served.names(below: directory).filter { !$0.hasPrefix(".fxversions") } == ["exact", "large"])
        }
    }
}
