import FXSystem
import Foundation
import Glibc
import SystemPackage
import Testing

@testable import FXMapping

@Suite("Exchange transfers")
struct ExchangeTransferTests {
    @Test("A download that is let go leaves nothing, whatever it was near to")
    func cut() throws {
        let bench = try ExchangeBench()
        let type = try bench.map()
        for near in [type, nil] {
            do {
                let content = try bench.exchange.beginDownload(near: near)
                try content.write(Array("half".utf8))
                #expect(bench.exchange.transfers().first?.done == ByteCount(4))
                #expect(bench.shared.transfers.running == 1)
            }
            #expect(bench.exchange.transfers().first?.state == .failed)
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: bench.scratch.path + "/scans").isEmpty)
        let state = try FileManager.default.contentsOfDirectory(atPath: bench.scratch.path + "/state")
        #expect(state.allSatisfy { $0.hasPrefix("mappings.sqlite") })
    }

    @Test("More than the limit is refused before it is written, at once when the size is known")
    func limits() throws {
        let bench = try ExchangeBench()
        let type = try bench.map()
        let limit = ByteCount(10)
        #expect(throws: ExchangeError.tooLarge(limit: limit)) {
            try bench.exchange.beginDownload(near: type, limit: limit, total: ByteCount(11))
        }
        let content = try bench.exchange.beginDownload(near: type, limit: limit, total: ByteCount(10))
        try content.write(Array("0123456789".utf8))
        #expect(throws: ExchangeError.tooLarge(limit: limit)) { try content.write([0]) }
        #expect(try bench.exchange.download(content, to: try bench.file("f")).size == ByteCount(10))
        #expect(throws: ExchangeError.tooLarge(limit: ByteCount(9))) {
            try bench.exchange.upload(try bench.file("f"), limit: ByteCount(9))
        }
        #expect(try bench.exchange.upload(try bench.file("f"), limit: limit).size == limit)
    }

    @Test("What waited on another file system is copied and arrives as whole")
    func otherFileSystem() throws {
        guard let memory = try Scratch(mounting: { ["mount", "-t", "tmpfs", "tmpfs", $0] }) else { return }
        let bench = try ExchangeBench()
        let type = try bench.type("memory")
        _ = try bench.exchange.createType(type, initPath: memory.path, .onlyIfNeeded)
        for near in [type, nil] {
            let content = try bench.exchange.beginDownload(near: near)
            try content.write(Array("bytes".utf8))
            _ = try bench.exchange.download(content, to: try FileAddress(type, fileName: "f"))
        }
        #expect(String(decoding: try memory.read(try Name("f")), as: UTF8.self) == "bytes")
        try bench.map()
        #expect(throws: ExchangeError.otherFileSystem("clinic/memory/f")) {
            try bench.exchange.moveFile(try FileAddress(type, fileName: "f"), to: try TypeName("scans"))
        }
        #expect(
            try bench.exchange.copyFile(try FileAddress(type, fileName: "f"), to: try TypeName("scans")).size
                == ByteCount(5))
        // A file system mounted inside a type is not entered.
        _ = try bench.scratch.directory("scans/inner")
        #expect(Scratch.run(["mount", "--bind", memory.path, bench.scratch.path + "/scans/inner"]) == 0)
        defer { #expect(Scratch.run(["umount", bench.scratch.path + "/scans/inner"]) == 0) }
        #expect(throws: ExchangeError.accessDenied("clinic/scans/inner", .crossDevice)) {
            try bench.exchange.upload(try bench.file("f", in: ["inner"]))
        }
        let listed = try bench.exchange.listTypeContent(try bench.type()).files
        #expect(listed.map(\.name) == ["f", "inner"] && listed.last?.access == [])
    }

    @Test("New files have the umask of the process; copies keep mode, times and attributes")
    func metadata() throws {
        let bench = try ExchangeBench()
        try bench.map()
        try bench.put("x", to: try bench.file("f"))
        let path = bench.scratch.path + "/scans"
        let mode = try bench.mode("scans/f")
        #expect(mode == 0o666 & ~Caller.ownProcess.umask)
        chmod(path + "/f", 0o640)
        let descriptor = try OwnedDescriptor.open(absolute: path + "/f", .readOnly)
        try descriptor.setTimes(accessed: .keep, modified: .set(Timestamp(seconds: 1_000_000)))
        // Not every file system of a test machine has user attributes.
        let hasAttributes = (try? descriptor.setAttribute("user.mark", to: [1, 2])) != nil
        let copy = try bench.exchange.copyFile(try bench.file("f"), to: try TypeName("scans"), as: "g")
        #expect(copy.modified == Timestamp(seconds: 1_000_000))
        #expect(try bench.mode("scans/g") == 0o640)
        let copied = try OwnedDescriptor.open(absolute: path + "/g", .readOnly)
        if hasAttributes { #expect(try copied.attribute("user.mark") == [1, 2]) }
    }

    @Test("A directory is copied with everything in it, links as links, and never into itself")
    func trees() throws {
        let bench = try ExchangeBench()
        let type = try bench.map()
        try bench.map("archive")
        try bench.put("1", to: try bench.file("f", in: ["d", "e"]))
        try bench.put("2", to: try bench.file("g", in: ["d"]))
        try bench.put("old", to: try bench.file("g", in: ["d"]))
        symlink("/etc/passwd", bench.scratch.path + "/scans/d/link")
        mkfifo(bench.scratch.path + "/scans/d/fifo", 0o600)
        let made = try bench.exchange.copyFile(try bench.file("d"), to: try TypeName("archive"), as: "copy")
        let archive = try bench.type("archive")
        #expect(made.isDirectory && made.name == "copy" && made.type == archive)
        #expect(bench.onDisk("archive/copy/e/f") == "1" && bench.onDisk("archive/copy/g") == "old")
        #expect(
            try FileManager.default.destinationOfSymbolicLink(atPath: bench.scratch.path + "/archive/copy/link")
                == "/etc/passwd")
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: bench.scratch.path + "/archive/copy").sorted() == [
                "e", "g", "link",
            ])
        #expect(throws: ExchangeError.wrongKind("clinic/scans/d/fifo", .invalidArgument)) {
            try bench.exchange.copyFile(try bench.file("fifo", in: ["d"]), to: type.type)
        }
        for folder in [["d"], ["d", "e"]] {
            #expect(throws: ExchangeError.parameter(.toRelPath, .intoItself)) {
                try bench.exchange.copyFile(try bench.file("d"), to: type.type, try FolderPath(folder), as: "x")
            }
            #expect(throws: ExchangeError.parameter(.toRelPath, .intoItself)) {
                try bench.exchange.moveFile(try bench.file("d"), to: type.type, try FolderPath(folder))
            }
        }
        // A second type that shows a part of the first one is no way round.
        let inner = try bench.type("inner")
        _ = try bench.exchange.createType(inner, initPath: bench.scratch.path + "/scans/d/e", .onlyIfNeeded)
        #expect(throws: ExchangeError.parameter(.toRelPath, .intoItself)) {
            try bench.exchange.copyFile(try bench.file("d"), to: inner.type, as: "x")
        }
    }

    @Test("What is missing and what is there already, for copies, moves and renames")
    func sourcesAndTargets() throws {
        let bench = try ExchangeBench()
        let type = try bench.map()
        try bench.put("x", to: try bench.file("f"))
        try bench.put("y", to: try bench.file("f", in: ["d"]))
        let missing = try bench.file("none")
        #expect(throws: ExchangeError.notFound("clinic/scans/none")) {
            try bench.exchange.copyFile(missing, to: type.type, as: "n")
        }
        #expect(throws: ExchangeError.notFound("clinic/scans/none")) {
            try bench.exchange.moveFile(missing, to: type.type, try FolderPath(["d"]))
        }
        #expect(throws: ExchangeError.notFound("clinic/scans/none")) { try bench.exchange.renameFile(missing, to: "n") }
        #expect(throws: ExchangeError.notFound("clinic/scans/none")) { try bench.exchange.upload(missing) }
        #expect(throws: ExchangeError.notFound("clinic/scans/none")) { try bench.exchange.getFileInfo(missing) }
        #expect(throws: ExchangeError.notFound("clinic/scans/no")) {
            try bench.exchange.copyFile(try bench.file("f"), to: type.type, try FolderPath(["no"]))
        }
        #expect(throws: ExchangeError.alreadyExists("clinic/scans/d/f")) {
            try bench.exchange.moveFile(try bench.file("f"), to: type.type, try FolderPath(["d"]))
        }
        #expect(throws: ExchangeError.alreadyExists("clinic/scans/d")) {
            try bench.exchange.renameFile(try bench.file("f"), to: "d")
        }
        #expect(throws: ExchangeError.noSuchType(try bench.type("none"))) {
            try bench.exchange.copyFile(try bench.file("f"), to: try TypeName("none"))
        }
        #expect(throws: ExchangeError.wrongKind("clinic/scans/d", .isDirectory)) {
            try bench.exchange.upload(try bench.file("d"))
        }
        #expect(try bench.exchange.renameFile(try bench.file("f"), to: "g").name == "g")
        #expect(try bench.exchange.moveFile(try bench.file("f", in: ["d"]), to: type.type).relPath == [])
        #expect(bench.onDisk("scans/f") == "y" && bench.onDisk("scans/g") == "x")
    }

    @Test("A file that somebody has open for writing is a draft to everybody else")
    func beingWritten() throws {
        let bench = try ExchangeBench()
        let type = try bench.map()
        try bench.lay("scans/log", "so far")
        try bench.lay("scans/d/log", "so far")
        let busy = try bench.file("log")
        let error = ExchangeError.beingWritten("clinic/scans/log")
        do {
            let writer = try OwnedDescriptor.open(absolute: bench.scratch.path + "/scans/log", [.writeOnly, .append])
            #expect(throws: error) { try bench.exchange.upload(busy) }
            #expect(throws: error) { try bench.exchange.copyFile(busy, to: type.type, as: "x") }
            #expect(throws: error) { try bench.exchange.moveFile(busy, to: type.type, try FolderPath(["d"])) }
            #expect(throws: error) { try bench.exchange.renameFile(busy, to: "x") }
            #expect(throws: error) { try bench.put("x", to: busy) }
            #expect(try bench.exchange.getFileInfo(busy).size == ByteCount(6))
            #expect(error.isTemporary)
            _ = writer
        }
        #expect(try bench.get(busy) == "so far")
        try bench.put("whole", to: busy)
        #expect(try bench.versions("log") == ["so far"])
    }

    @Test("A mount's closed draft that is renamed by the API is sealed for the mount")
    func draftsOfAMount() throws {
        let bench = try ExchangeBench()
        let type = try bench.map()
        let mount = try SharedGate(patterns: .standard, events: bench.events)
        defer { mount.stop() }
        let root = try MappedRoot(try bench.exchange.row(type), shared: mount)
        func place(_ name: String) throws -> Place {
            let name = try Name(name)
            return Place(directory: root.status.identity, name: name, parentName: nil) { RelativePath([name]) }
        }
        func close(_ file: MappedFile) throws {
            try file.flush { RelativePath() }
            file.release(mayBeMapped: false) { RelativePath() }
        }
        let me = Caller.ownProcess
        do {
            let draft = try root.create(
                try place("x.part"), in: root.descriptor, flags: [.writeOnly, .create], mode: 0o644, by: me)
            try draft.descriptor.write(Array("draft".utf8), at: 0)
            #expect(throws: ExchangeError.beingWritten("clinic/scans/x.part")) {
                try bench.get(try bench.file("x.part"))
            }
            try close(draft)
        }
        #expect(try bench.get(try bench.file("x.part")) == "draft")
        _ = try bench.exchange.renameFile(try bench.file("x.part"), to: "y.part")
        let status = try root.descriptor.status(of: try Name("y.part"))
        try close(
            root.open(
                try place("y.part"), in: root.descriptor, expecting: status.identity, flags: [.writeOnly, .truncate],
                by: me))
        #expect(try bench.versions("y.part") == ["draft"], "it was sealed, so a version was kept")
        #expect(throws: Errno.notPermitted) { try root.remove(try place("y.part"), in: root.descriptor, by: me) }
        // What the API makes is sealed in the mount from its first moment, whatever it is called.
        try bench.put("whole", to: try bench.file("z.part"))
        #expect(throws: Errno.notPermitted) { try root.remove(try place("z.part"), in: root.descriptor, by: me) }
    }

    @Test(
        "So many transfers run at once and no more; ended ones are remembered, their user is told when that was asked for"
    )
    func board() throws {
        let bench = try ExchangeBench(transfers: TransferBoard(limit: 2))
        let type = try bench.map()
        let first = try bench.exchange.beginDownload(near: type, total: ByteCount(3))
        let second = try bench.exchange.beginDownload(near: type)
        let error = #expect(throws: ExchangeError.self) { try bench.exchange.beginDownload(near: type) }
        #expect(error == .tooManyTransfers(limit: 2) && error?.isTemporary == true)
        try first.write(Array("abc".utf8))
        let running = try #require(bench.exchange.transfers().first)
        #expect(running.state == .running && running.done == ByteCount(3) && running.total == ByteCount(3))
        _ = try bench.exchange.download(first, to: try bench.file("f"), .refused, .told)
        #expect(bench.notices.records.map(\.file) == [try bench.file("f")])
        #expect(bench.exchange.transfers().map(\.state) == [.running, .done])
        let upload = try bench.exchange.upload(try bench.file("f"), .told)
        #expect(try upload.read(2, at: .zero) == Array("ab".utf8))
        upload.finish()
        #expect(bench.notices.records.map(\.action) == [.download, .upload])
        second.cancel()
        #expect(throws: ExchangeError.cancelled("the file")) { try second.write([0]) }
        #expect(try bench.exchange.upload(try bench.file("f")).read(9, at: ByteCount(2)) == Array("c".utf8))
    }

    @Test("A file that shrinks while it is read is an error and not a short file")
    func shrinking() throws {
        let bench = try ExchangeBench()
        try bench.map()
        try bench.lay("scans/f", "0123456789")
        let upload = try bench.exchange.upload(try bench.file("f"))
        truncate(bench.scratch.path + "/scans/f", 3)
        #expect(throws: ExchangeError.system("f", .staleNFSFileHandle)) { try upload.read(10, at: .zero) }
    }
}

extension ExchangeBench {
    func mode(_ path: String) throws -> UInt32 {
        try OwnedDescriptor.open(absolute: "\(scratch.path)/\(path)", .pathOnly).status().permissions
    }
}
