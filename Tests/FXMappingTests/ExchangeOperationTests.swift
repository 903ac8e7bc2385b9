import FXSystem
import Foundation
import Glibc
import SystemPackage
import Testing

@testable import FXMapping

@Suite("Exchange operations")
struct ExchangeOperationTests {
    /// Every operation that names a type, so that none forgets to look for it.
    static let operations: [(name: String, call: @Sendable (ExchangeBench, FileExchange, TypeAddress) throws -> Void)] =
        [
            ("updateType", { _, api, type in _ = try api.updateType(type) }),
            ("deleteType", { _, api, type in try api.deleteType(type) }),
            ("listType", { _, api, type in _ = try api.listType(type) }),
            ("listTypeContent", { _, api, type in _ = try api.listTypeContent(type) }),
            ("existsFile", { _, api, type in _ = try api.existsFile(try FileAddress(type, path: ["f"])) }),
            ("getAccessMode", { _, api, type in _ = try api.getAccessMode(type, .root) }),
            (
                "getAccessMode of a file",
                { _, api, type in _ = try api.getAccessMode(try FileAddress(type, fileName: "f")) }
            ),
            ("getFileInfo", { _, api, type in _ = try api.getFileInfo(try FileAddress(type, fileName: "f")) }),
            ("createDir", { _, api, type in _ = try api.createDir(try FileAddress(type, path: ["d"])) }),
            (
                "copyFile",
                { _, api, type in _ = try api.copyFile(try FileAddress(type, fileName: "f"), to: type.type, as: "g") }
            ),
            ("moveFile", { _, api, type in _ = try api.moveFile(try FileAddress(type, fileName: "f"), to: type.type) }),
            ("renameFile", { _, api, type in _ = try api.renameFile(try FileAddress(type, fileName: "f"), to: "g") }),
            ("download", { bench, api, type in try bench.put("x", to: try FileAddress(type, fileName: "f"), by: api) }),
            ("checkDownload", { _, api, type in try api.checkDownload(to: try FileAddress(type, fileName: "f")) }),
            ("upload", { _, api, type in _ = try api.upload(try FileAddress(type, fileName: "f")) }),
        ]
    /// Those that need more than the row.
    static let looking = operations.filter { !["updateType", "deleteType", "listType"].contains($0.name) }

    @Test("An unknown type or entity is no such type, in every operation", arguments: operations.indices)
    func unknown(index: Int) throws {
        let bench = try ExchangeBench()
        try bench.map()
        let operation = Self.operations[index]
        for type in [try bench.type("nothing"), try bench.type(entity: "nobody")] {
            #expect(throws: ExchangeError.noSuchType(type), "\(operation.name)") {
                try operation.call(bench, bench.exchange, type)
            }
        }
        #expect(bench.chooser.questions.isEmpty)
    }

    @Test("Another application's type looks as if there were none, in every operation", arguments: operations.indices)
    func otherApplications(index: Int) throws {
        let bench = try ExchangeBench()
        let type = try bench.map()
        try bench.put("mine", to: try bench.file("f"))
        let operation = Self.operations[index]
        #expect(throws: ExchangeError.noSuchType(type), "\(operation.name)") {
            try operation.call(bench, try bench.other(), type)
        }
        #expect(try bench.get(try bench.file("f")) == "mine")
    }

    @Test("Applications do not see each other in lists, transfers and reasons")
    func isolation() throws {
        let bench = try ExchangeBench()
        let type = try bench.map()
        try bench.put("x", to: try bench.file("f"))
        let other = try bench.other()
        #expect(try !other.existsType(type))
        #expect(try other.listTypes().types.isEmpty)
        #expect(throws: ExchangeError.noSuchEntity(type.entity)) { try other.listTypes(of: type.entity) }
        #expect(throws: ExchangeError.noSuchEntity(type.entity)) { try other.listContent(of: type.entity) }
        #expect(other.transfers().isEmpty && bench.exchange.transfers().count == 1)
        try bench.registry.setPolicy(
            .writeOnce, ofType: type.type, of: type.entity, in: bench.exchange.application)
        let path = bench.scratch.path + "/scans"
        let error = #expect(throws: ExchangeError.self) {
            try other.createType(try bench.type("theirs"), initPath: path, .onlyIfNeeded)
        }
        #expect(error == .directoryTaken(path))
        #expect(error?.message.contains("clinic") == false && error?.message.contains("write-once") == false)
        // The same names are free for the other one.
        #expect(throws: Never.self) {
            try other.createType(type, initPath: try bench.scratch.directory("theirs"), .onlyIfNeeded)
        }
        #expect(try bench.exchange.listType(type).mapped.path == path)
    }

    @Test("An unmapped type says so, in every operation that looks into it", arguments: looking.indices)
    func unmapped(index: Int) throws {
        let bench = try ExchangeBench()
        let type = try bench.type()
        try bench.registry.createEntity(type.entity, in: bench.exchange.application)
        try bench.registry.createType(type.type, of: type.entity, in: bench.exchange.application)
        #expect(throws: ExchangeError.unmapped(type)) { try Self.looking[index].call(bench, bench.exchange, type) }
        #expect(try bench.exchange.existsType(type))
        #expect(try bench.exchange.listType(type).json["status"] == "UNMAPPED")
    }

    @Test("A type whose directory is gone stays and says why, in every operation", arguments: looking.indices)
    func vanished(index: Int) throws {
        let bench = try ExchangeBench()
        let type = try bench.map()
        try FileManager.default.removeItem(atPath: bench.scratch.path + "/scans")
        #expect(throws: ExchangeError.directoryUnavailable(type, .noSuchFileOrDirectory)) {
            try Self.looking[index].call(bench, bench.exchange, type)
        }
        let entry = try bench.exchange.listType(type)
        #expect(entry.files == 0 && entry.access == [] && entry.mapped.status == .mapped)
        #expect(try bench.exchange.listContent(of: type.entity).unavailable == [type])
        // It is as it was when it comes back.
        _ = try bench.scratch.directory("scans")
        try bench.put("x", to: try bench.file("f"))
    }

    @Test("Nothing reaches outside: not by a link to a file, not by a link to a directory, not for any operation")
    func escaping() throws {
        let bench = try ExchangeBench()
        let type = try bench.map()
        let outside = try bench.scratch.directory("outside")
        try bench.lay("outside/secret", "secret")
        symlink(outside, bench.scratch.path + "/scans/away")
        symlink(outside + "/secret", bench.scratch.path + "/scans/link")
        let secret = try bench.file("secret", in: ["away"])
        let attempts: [() throws -> Void] = [
            { _ = try bench.exchange.upload(secret) },
            { _ = try bench.exchange.upload(try bench.file("link")) },
            { try bench.put("x", to: secret) },
            { try bench.put("x", to: try bench.file("new", in: ["away", "deeper"])) },
            { _ = try bench.exchange.getFileInfo(secret) },
            { _ = try bench.exchange.existsFile(secret) },
            { _ = try bench.exchange.listTypeContent(type, try FolderPath(["away"])) },
            { _ = try bench.exchange.createDir(try FileAddress(type, path: ["away", "d"])) },
            { _ = try bench.exchange.createDir(try FileAddress(type, path: ["away", "d"]), .made) },
            { _ = try bench.exchange.createTypeDirs(type, try FolderPath(["away", "d"])) },
            { _ = try bench.exchange.copyFile(secret, to: type.type) },
            { _ = try bench.exchange.moveFile(secret, to: type.type) },
            { _ = try bench.exchange.renameFile(secret, to: "x") },
            { _ = try bench.exchange.moveFile(try bench.file("link"), to: type.type, try FolderPath(["away"])) },
        ]
        for (number, attempt) in attempts.enumerated() {
            let error = #expect(throws: ExchangeError.self, "\(number)") { try attempt() }
            switch error {
            case .accessDenied(_, .tooManySymbolicLinkLevels), .wrongKind(_, .notDirectory): break
            default: Issue.record("\(number): \(String(describing: error))")
            }
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: outside) == ["secret"])
        #expect(bench.onDisk("outside/secret") == "secret")
        #expect(try bench.exchange.getFileInfo(try bench.file("link")).access == [])
    }

    @Test("createDir makes one directory, or all that are missing")
    func createDir() throws {
        let bench = try ExchangeBench()
        let type = try bench.map()
        let deep = try FileAddress(type, path: ["a", "b", "c"])
        #expect(throws: ExchangeError.notFound("clinic/scans/a/b")) { try bench.exchange.createDir(deep) }
        let made = try bench.exchange.createDir(deep, .made)
        #expect(made.isDirectory && made.name == "c" && made.relPath == ["a", "b"] && made.fileExtension == "")
        #expect(try bench.exchange.createDir(deep, .made) == made)
        #expect(throws: ExchangeError.alreadyExists("clinic/scans/a/b/c")) { try bench.exchange.createDir(deep) }
        try bench.put("x", to: try bench.file("f"))
        #expect(throws: ExchangeError.wrongKind("clinic/scans/f", .notDirectory)) {
            try bench.exchange.createDir(try FileAddress(type, path: ["f"]), .made)
        }
        #expect(
            try bench.exchange.createDir(try FileAddress(type, path: ["single"])).access == [.read, .write, .execute])
    }

    @Test("createTypeDirs makes directories of a mapped type without asking, and asks for one that is not mapped")
    func createTypeDirs() throws {
        let bench = try ExchangeBench()
        let type = try bench.map()
        for wish in [PromptWish.ask, .onlyIfNeeded] {
            #expect(try bench.exchange.createTypeDirs(type, try FolderPath(["a", "b"]), wish).files == 1)
        }
        #expect(bench.chooser.questions.isEmpty)
        let new = try bench.type("new")
        bench.chooser.willAnswer(.cancel)
        #expect(throws: ExchangeError.prompt(.cancelled)) {
            try bench.exchange.createTypeDirs(new, try FolderPath(["x"]))
        }
        #expect(try !bench.exchange.existsType(new))
        bench.chooser.willAnswer(.accept(try bench.scratch.directory("chosen")))
        #expect(try bench.exchange.createTypeDirs(new, try FolderPath(["x", "y"])).files == 1)
        #expect(FileManager.default.fileExists(atPath: bench.scratch.path + "/chosen/x/y"))
    }

    @Test("updateType always asks; a user who stays away changes nothing and holds up nobody")
    func updateType() throws {
        let bench = try ExchangeBench()
        let type = try bench.map()
        let old = bench.scratch.path + "/scans"
        for (answer, failure) in [(ScriptedChooser.Answer.cancel, PromptFailure.cancelled), (.stayAway, .timedOut)] {
            bench.chooser.willAnswer(answer)
            #expect(throws: ExchangeError.prompt(failure)) { try bench.exchange.updateType(type) }
            #expect(try bench.exchange.listType(type).mapped.path == old)
        }
        #expect(throws: ExchangeError.prompt(.nobodyToAsk)) { try bench.exchange.updateType(type) }
        try bench.lay("scans/stays", "x")
        bench.chooser.willAnswer(.accept(try bench.scratch.directory("new")))
        #expect(try bench.exchange.updateType(type, timeout: .seconds(3)).mapped.path == bench.scratch.path + "/new")
        #expect(bench.onDisk("scans/stays") == "x")
        #expect(bench.chooser.questions.map(\.preselected) == Array(repeating: old, count: 4))
        #expect(bench.chooser.questions.last?.timeout == .seconds(3))
    }

    @Test("createType again asks at the present mapping and maps anew; a gone one is not preselected")
    func createTypeAgain() throws {
        let bench = try ExchangeBench()
        let type = try bench.map()
        bench.chooser.willAnswer(.acceptPreselected)
        #expect(try bench.exchange.createType(type).mapped.path == bench.scratch.path + "/scans")
        try FileManager.default.removeItem(atPath: bench.scratch.path + "/scans")
        bench.chooser.willAnswer(.accept("/nonexistent"))
        let error = #expect(throws: ExchangeError.self) { try bench.exchange.createType(type) }
        #expect(error?.errno == .noSuchFileOrDirectory)
        #expect(bench.chooser.questions.map(\.preselected) == [bench.scratch.path + "/scans", bench.home])
    }

    @Test("deleteType forgets the alias, once, and nothing else")
    func deleteType() throws {
        let bench = try ExchangeBench()
        let type = try bench.map()
        try bench.put("x", to: try bench.file("f"))
        try bench.exchange.deleteType(type)
        #expect(try !bench.exchange.existsType(type))
        #expect(throws: ExchangeError.noSuchType(type)) { try bench.exchange.deleteType(type) }
        #expect(bench.onDisk("scans/f") == "x")
    }

    @Test("Lists are paged, sorted by bytes, and tell the whole total")
    func lists() throws {
        let bench = try ExchangeBench()
        let type = try bench.map()
        try bench.map("archive")
        for name in ["b", "a", "Z", "ä"] { try bench.put(name, to: try bench.file(name)) }
        try bench.put("x", to: try bench.file("b", of: "archive"))
        try bench.put("old", to: try bench.file("a"))
        let all = try bench.exchange.listTypeContent(type)
        #expect(all.files.map(\.name) == ["Z", "a", "b", "ä"], "versions are not listed")
        #expect(all.total == 4)
        let page = try bench.exchange.listTypeContent(type, .root, try Page(start: 1, size: 2, sort: "DESC"))
        #expect(page.files.map(\.name) == ["b", "a"] && page.total == 4)
        #expect(try bench.exchange.listTypeContent(type, .root, try Page(start: 4, size: 1, sort: nil)).files.isEmpty)
        let content = try bench.exchange.listContent(of: type.entity, try Page(start: 2, size: 2, sort: nil))
        #expect(content.files.map { "\($0.type)/\($0.name)" } == ["clinic/archive/b", "clinic/scans/b"])
        #expect(content.total == 5)
        let types = try bench.exchange.listTypes(of: type.entity, try Page(start: 0, size: 1, sort: "DESC"))
        #expect(types.types.map(\.files) == [4] && types.total == 2)
        #expect(try bench.exchange.listTypes().total == 2)
        #expect(throws: ExchangeError.notFound("clinic/scans/none")) {
            try bench.exchange.listTypeContent(type, try FolderPath(["none"]))
        }
        #expect(throws: ExchangeError.wrongKind("clinic/scans/a", .notDirectory)) {
            try bench.exchange.listTypeContent(type, try FolderPath(["a"]))
        }
    }

    @Test("A name that is no UTF-8 is listed, escaped, and cannot be asked for")
    func bytesOfNames() throws {
        let bench = try ExchangeBench()
        let type = try bench.map()
        let directory = try OwnedDescriptor.open(absolute: bench.scratch.path + "/scans", [.readOnly, .directory])
        _ = try directory.open(try Name(validating: [0x61, 0xff]), [.writeOnly, .create], mode: 0o644)
        let listed = try bench.exchange.listTypeContent(type).files
        #expect(listed.map(\.name) == ["a\\xff"])
        #expect(throws: ExchangeError.parameter(.fileName, .separator)) {
            try FileAddress(type, fileName: listed.first?.name)
        }
    }

    @Test("The fields of a file and a type are those that are published")
    func json() throws {
        let bench = try ExchangeBench()
        let type = try bench.map()
        let entry = try bench.put("12345", to: try bench.file("a.tar.gz", in: ["d"]))
        let time = entry.modified.rfc3339
        let path = bench.scratch.path + "/scans"
        #expect(
            entry.json.text
                == #"{"extension":"gz","name":"a.tar.gz","path":"\#(path)/d/a.tar.gz","relPath":["d"],"type":"scans","entity":"clinic","size":5,"lastModificationTime":"\#(time)","isDir":false,"access":"rw"}"#
        )
        #expect(
            try bench.exchange.listType(type).json.text
                == #"{"entity":"clinic","type":"scans","path":"\#(path)","access":"rwx","status":"MAPPED","files":1,"appid":"app.example.org"}"#
        )
        for (name, wanted) in [("x", ""), (".bashrc", ""), ("a.", ""), ("..a", "a"), ("a.b c", "b c")] {
            try bench.put("", to: try bench.file(name))
            #expect(try bench.exchange.getFileInfo(try bench.file(name)).fileExtension == wanted)
        }
        #expect(try bench.exchange.getAccessMode(type, .root).text == "rwx")
        #expect(try bench.exchange.getAccessMode(type, try FolderPath(["d"])).text == "rwx")
        #expect(throws: ExchangeError.wrongKind("clinic/scans/x", .notDirectory)) {
            try bench.exchange.getAccessMode(type, try FolderPath(["x"]))
        }
    }
}
