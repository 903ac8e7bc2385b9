import FXSystem
import Foundation
import ServiceFixtures
import Testing

extension ServeTests {
    /// Every use case of the seed, by its name there, through REST.
    @Suite("Use cases") struct UseCases {
        private func type(_ name: String = "doc", _ more: [(String, JSONValue)] = []) -> JSONValue {
            .object([.init("entity", "T1T"), .init("type", .string(name))] + more.map { .init($0.0, $0.1) })
        }

        @Test(
            "createType use case 1: an existing initPath and modal true: the chooser opens there; cancelling aborts, accepting creates"
        )
        func createType1() throws {
            let served = try Served()
            let proposed = try served.scratch.directory("proposed")
            try served.desktop.willAnswer("cancel", proposed)
            let body = type("doc", [("initPath", .string(proposed)), ("modal", true)])
            #expect(try served.page().code("create-type", body) == "800")
            #expect(try served.page().data("exist-type", type()) == false)
            let made = try served.page().data("create-type", body)
            #expect(made["path"]?.string == proposed && made["status"] == "MAPPED")
            #expect(served.desktop.asked.count == 2 && served.desktop.asked.allSatisfy { $0.contains("\(proposed)/") })
        }

        @Test("createType use case 2: an existing initPath and modal false: no prompt, the type is created")
        func createType2() throws {
            let served = try Served()
            let proposed = try served.scratch.directory("proposed")
            let made = try served.page().data(
                "create-type", type("doc", [("initPath", .string(proposed)), ("modal", false)]))
            #expect(made["path"]?.string == proposed)
            #expect(made["appid"] == "app.example.org")
            #expect(served.desktop.asked.isEmpty)
        }

        @Test(
            "createType use case 3: an initPath that does not exist: the chooser opens at home",
            arguments: [true, false])
        func createType3(modal: Bool) throws {
            let served = try Served()
            let chosen = try served.scratch.directory("chosen")
            try served.desktop.willAnswer("cancel", chosen)
            let body = type("doc", [("initPath", .string("\(served.scratch.path)/none")), ("modal", .bool(modal))])
            #expect(try served.page().code("create-type", body) == "800")
            #expect(try served.page().data("create-type", body)["path"]?.string == chosen)
            #expect(served.desktop.asked.allSatisfy { $0.contains("\(served.home)/") })
        }

        @Test("createType without initPath asks, also with modal false", arguments: [true, false])
        func createTypeWithoutPath(modal: Bool) throws {
            let served = try Served()
            try served.desktop.willAnswer(try served.scratch.directory("chosen"))
            _ = try served.page().data("create-type", type("doc", [("modal", .bool(modal))]))
            #expect(served.desktop.asked.count == 1)
        }

        @Test("createType on an existing mapping opens the chooser at its directory")
        func createTypeAgain() throws {
            let served = try Served()
            let mapped = try served.map("T1T", "doc")
            try served.desktop.willAnswer("cancel")
            #expect(try served.page().code("create-type", type()) == "800")
            #expect(served.desktop.asked.first?.contains("\(mapped)/") == true)
            #expect(try served.page().data("list-type", type())["path"]?.string == mapped)
        }

        @Test("A prompt nobody answers ends after the timeout and changes nothing; meanwhile others are served")
        func timeout() throws {
            let served = try Served()
            try served.desktop.willAnswer("never")
            let (waiting, other) = (served.page(), served.page())
            let code = try withThread {
                try waiting.code("create-type", type("doc", [("timeout", 1)]))
            } during: {
                let list = try other.data("list-types", [:])
                #expect(list["total"] == 0)
            }
            #expect(code == "800")
            #expect(try served.page().data("exist-type", type()) == false)
        }

        @Test("createTypeDirs asks only when the mapping is missing, and makes the directories")
        func createTypeDirs() throws {
            let served = try Served()
            let chosen = try served.scratch.directory("chosen")
            try served.desktop.willAnswer(chosen)
            let made = try served.page().data("create-type-dirs", type("doc", [("relPath", ["a", "b"])]))
            #expect(made["type"] == "doc" && made["path"]?.string == chosen)
            _ = try served.page().data("create-type-dirs", type("doc", [("relPath", ["a", "c"]), ("modal", true)]))
            #expect(served.desktop.asked.count == 1)
            #expect(try Served.names(below: chosen) == ["a", "a/b", "a/c"])
        }

        @Test("updateType always asks, and leaves the old directory alone")
        func updateType() throws {
            let served = try Served()
            let old = try served.map("T1T", "doc")
            try "kept".write(toFile: "\(old)/f", atomically: false, encoding: .utf8)
            let new = try served.scratch.directory("new")
            try served.desktop.willAnswer("cancel", new)
            #expect(try served.page().code("update-type", type()) == "800")
            #expect(try served.page().data("update-type", type())["path"]?.string == new)
            #expect(try Served.names(below: old) == ["f"])
            #expect(try served.page().code("update-type", type("none")) == "356")
        }

        @Test("deleteType forgets the alias and keeps the directory; a second time it does not exist")
        func deleteType() throws {
            let served = try Served()
            let directory = try served.map("T1T", "doc")
            try "kept".write(toFile: "\(directory)/f", atomically: false, encoding: .utf8)
            #expect(try served.page().data("delete-type", type()) == true)
            #expect(try served.page().code("delete-type", type()) == "356")
            #expect(try Served.names(below: directory) == ["f"])
        }

        @Test(
            "download use case 1: an existing type, whatever implicitCreationType says: written, directories made",
            arguments: [nil, true, false])
        func download1(implicit: Bool?) throws {
            let served = try Served()
            let directory = try served.map("T1T", "doc")
            let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            let answer = try served.page().download("T1T", "doc", "f.bin", bytes, relPath: ["a,b"], implicit: implicit)
            #expect(answer.status == 200 && answer.json?["data"]?.string == "\(directory)/a/b/f.bin", "\(answer.text)")
            #expect(try served.page().upload("T1T", "doc", "f.bin", relPath: ["a", "b"]) == bytes)
            #expect(served.desktop.asked.isEmpty)
        }

        @Test(
            "download use case 2: no type and implicitCreationType false or absent: 356, nothing written",
            arguments: [nil, false])
        func download2(implicit: Bool?) throws {
            let served = try Served()
            let answer = try served.page().download("T1T", "doc", "f.bin", [1, 2, 3], implicit: implicit)
            #expect(answer.status == 400)
            #expect(try RESTPage.code(answer) == "356")
            #expect(try served.page().data("exist-type", type()) == false)
            #expect(served.desktop.asked.isEmpty)
        }

        @Test(
            "download use case 3: no type and implicitCreationType true: cancelling writes nothing, accepting creates the type and the file"
        )
        func download3() throws {
            let served = try Served()
            let chosen = try served.scratch.directory("chosen")
            try served.desktop.willAnswer("cancel", chosen)
            let refused = try served.page().download("T1T", "doc", "f.bin", [1, 2, 3], implicit: true)
            #expect(try RESTPage.code(refused) == "800")
            #expect(try Served.names(below: chosen).isEmpty)
            let answer = try served.page().download("T1T", "doc", "f.bin", [1, 2, 3], relPath: ["x"], implicit: true)
            #expect(answer.status == 200)
            #expect(try served.page().upload("T1T", "doc", "f.bin", relPath: ["x"]) == [1, 2, 3])
            #expect(served.desktop.asked.allSatisfy { $0.contains("\(served.home)/") })
        }

        @Test("Parts of a download come in any order, and relPath in either form")
        func anyOrder() throws {
            let served = try Served()
            try served.map("T1T", "doc")
            let parts = RESTPage.parts("T1T", "doc", "f", [7, 13, 10, 45, 45], relPath: ["a", "b"])
            for shift in 0..<parts.count {
                var turned = Array(parts[shift...] + parts[..<shift])
                // Which component comes first is what relPath means.
                let paths = ["a", "b"]
                var next = 0
                for index in turned.indices where turned[index].0 == "relPath" {
                    turned[index].1 = Array(paths[next].utf8)
                    next += 1
                }
                turned = turned.map { $0.0 == "fileName" ? ("fileName", Array("f\(shift)".utf8)) : $0 }
                #expect(try served.page().download(turned).status == 200)
                #expect(
                    try served.page().upload("T1T", "doc", "f\(shift)", relPath: ["a", "b"]) == [7, 13, 10, 45, 45])
            }
        }

        @Test("notifyOnCompletion tells the user of a download and of an upload; without it nobody is told")
        func notices() throws {
            let served = try Served()
            let told = "\(served.desktop.directory)/told"
            try "#!/bin/sh\nprintf '%s\\n' \"$4 $3\" >>\"$DESKTOP/told\"\n".write(
                toFile: "\(served.desktop.directory)/notify-send", atomically: true, encoding: .utf8)
            chmod("\(served.desktop.directory)/notify-send", 0o755)
            try served.map("T1T", "doc")
            let page = served.page()
            #expect(try page.download("T1T", "doc", "silent", [1, 2, 3]).status == 200)
            let loud = RESTPage.parts("T1T", "doc", "f", [1, 2, 3]) + [("notifyOnCompletion", Array("true".utf8))]
            #expect(try page.download(loud).status == 200)
            let answer = try page.call("upload", type("doc", [("fileName", "f"), ("notifyOnCompletion", true)]))
            #expect(answer.status == 200)
            func notices() -> [String] {
                ((try? String(contentsOfFile: told, encoding: .utf8)) ?? "").split(separator: "\n").map(String.init)
            }
            #expect(waitUntil(seconds: 60) { notices().count == 2 })
            #expect(
                notices() == [
                    "T1T/doc/f was written, 3 B app.example.org", "T1T/doc/f was read, 3 B app.example.org",
                ])
        }

        @Test("upload answers the bytes with their length, and makes nothing that is missing")
        func upload() throws {
            let served = try Served()
            let directory = try served.map("T1T", "doc")
            try Data([1, 2, 3]).write(to: URL(fileURLWithPath: "\(directory)/f"))
            let answer = try served.page().call("upload", type("doc", [("fileName", "f")]))
            #expect(answer.status == 200 && answer.body == [1, 2, 3] && answer["Content-Length"] == "3")
            #expect(
                answer["Content-Type"] == "application/octet-stream" && answer["X-Content-Type-Options"] == "nosniff")
            #expect(try served.page().code("upload", type("doc", [("fileName", "f"), ("relPath", ["new"])])) == "801")
            #expect(try Served.names(below: directory) == ["f"])
        }

        @Test("Lists are paged by body or query, with the total of all pages, and end in an empty page")
        func paging() throws {
            let served = try Served()
            let directory = try served.map("T1T", "doc")
            for name in ["a", "b", "c", "d", "e"] {
                try name.write(toFile: "\(directory)/\(name)", atomically: false, encoding: .utf8)
            }
            func names(_ body: JSONValue, _ query: String = "") throws -> [String] {
                let data = try served.page().data("list-type-content", body, query: query)
                #expect(data["total"] == 5)
                return data["files"]?.elements?.compactMap { $0["name"]?.string } ?? []
            }
            #expect(try names(type()) == ["a", "b", "c", "d", "e"])
            #expect(try names(type(), "?start=1&size=2") == ["b", "c"])
            #expect(
                try names(type("doc", [("page", ["start": 0, "size": 2, "sort": "DESC"])]), "?start=3") == ["e", "d"])
            #expect(try names(type(), "?start=9").isEmpty)
            let content = try served.page().data("list-content", ["entity": "T1T", "page": ["size": 3]])
            #expect(content["total"] == 5 && content["files"]?.elements?.count == 3)
            try served.map("T1T", "zoo")
            try served.map("other", "doc")
            #expect(try served.page().data("list-types", [:])["total"] == 3)
            #expect(try served.page().data("list-types", ["entity": "T1T"])["total"] == 2)
        }

        @Test("Directories are made, and files copied, moved and renamed, with the published fields")
        func changes() throws {
            let served = try Served()
            let directory = try served.map("T1T", "doc")
            let target = try served.map("T1T", "out")
            try "x".write(toFile: "\(directory)/f.txt", atomically: false, encoding: .utf8)
            let page = served.page()
            #expect(try page.code("create-dir", type("doc", [("relPath", ["a", "b"])])) == "801")
            let made = try page.data("create-dir", type("doc", [("relPath", ["a", "b"]), ("recursive", true)]))
            #expect(made["isDir"] == true && made["name"] == "b" && made["relPath"] == ["a"])
            let copied = try page.data(
                "copy-file",
                [
                    "entity": "T1T", "fromType": "doc", "toType": "out", "fileName": "f.txt", "newFileName": "g.txt",
                    "fromRelPath": [], "toRelPath": nil,
                ])
            let fields = [
                "extension", "name", "path", "relPath", "type", "entity", "size", "lastModificationTime", "isDir",
                "access",
            ]
            #expect(copied.members?.map(\.key) == fields)
            #expect(copied["path"]?.string == "\(target)/g.txt" && copied["extension"] == "txt" && copied["size"] == 1)
            _ = try page.data(
                "move-file",
                ["entity": "T1T", "fromType": "out", "toType": "doc", "fileName": "g.txt", "toRelPath": ["a", "b"]])
            _ = try page.data(
                "rename-file", type("doc", [("fileName", "g.txt"), ("newFileName", "h.txt"), ("relPath", ["a", "b"])]))
            #expect(
                try Served.names(below: directory).filter { !$0.hasPrefix(".") } == ["a", "a/b", "a/b/h.txt", "f.txt"])
            #expect(try page.data("exist-file", type("doc", [("relPath", ["a", "b", "h.txt"])])) == true)
            #expect(try page.data("exist-file", type("doc", [("relPath", ["a", "h.txt"])])) == false)
            #expect(
                try page.data("get-access-mode", type("doc", [("fileName", "f.txt")])).string?.hasPrefix("rw") == true)
            #expect(try page.data("get-access-mode", type("doc", [("relPath", ["a"])])) == "rwx")
            #expect(
                try page.data("get-file-info", type("doc", [("fileName", "h.txt"), ("relPath", ["a", "b"])]))["size"]
                    == 1)
        }

        @Test("The later codes are spoken where they are configured")
        func vintage() throws {
            let served = try Served(configuration: "[serve]\ncodes = \"later\"\n")
            #expect(try served.page().code("list-type", type()) == "511356")
            #expect(try served.page("https://other.example.org").code("list-type", type()) == "104025")
            #expect(try RESTPage.code(try served.page().client.get("/nothing")) == "112999")
        }
    }
}

/// Runs `work` on a thread of its own while `body` runs here; what `work` returned.
func withThread<Value: Sendable>(
    _ work: @escaping @Sendable () throws -> Value, during body: () throws -> Void
) throws -> Value {
    let result = Monitor<Result<Value, any Error>?>(nil)
    let thread = try ServiceThread(name: "test") {
        let value = Result { try work() }
        result.withLock { $0 = value }
    }
    let outcome = Result { try body() }
    thread.join()
    try outcome.get()
    guard let value = result.withLock({ $0 }) else { throw Served.Failure("the thread left nothing") }
    return try value.get()
}
