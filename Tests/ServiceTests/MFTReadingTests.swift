import FXSystem
import ServiceFixtures
import Synchronization
import SystemPackage
import Testing

@testable import FXRemote

/// What was committed, by folders, and the states files go through before they can be had.
@Suite struct MFTReadingTests {
    private func list(_ names: [String], of backend: MFTService) throws -> (StoredDirectory, [ListedEntry]) {
        var directory = StoredDirectory.root
        for name in names {
            let entry = try #require(try backend.list(directory).first { $0.name == Array(name.utf8) }, "\(name)")
            directory = StoredDirectory(path: directory.path.appending(try Name(name)), remoteID: entry.remoteID)
        }
        return (directory, try backend.list(directory))
    }

    private func stored(_ entry: ListedEntry, in directory: StoredDirectory) throws -> StoredFile {
        guard case .file(let size) = entry.kind else { throw RemoteError.isDirectory }
        return StoredFile(
            path: directory.path.appending(try Name(validating: entry.name)), remoteID: entry.remoteID, size: size,
            directoryID: directory.remoteID)
    }

    @Test(arguments: ["vault", "reference"], ["2021", "2018"])
    func `folders are listed with real sizes, in pages, whatever the shape`(shape: String, vintage: String) throws {
        let bench = try MFTBench()
        try bench.vault.set(
            .object([.init("folder_shape", .string(shape)), .init("status_vintage", .string(vintage))]))
        try bench.vault.seed([
            "files": [
                ["name": "many", "path": "in", "size": 7, "count": 430],
                ["name": "one", "path": "in\\deep", "text": "two!"],
            ]
        ])
        let backend = bench.backend()
        #expect(try list(["files"], of: backend).1.map { String(decoding: $0.name, as: UTF8.self) } == ["in"])
        let (_, entries) = try list(["files", "in"], of: backend)
        #expect(entries.count == 431)
        #expect(Set(entries.map(\.remoteID)).count == 431)
        #expect(entries.allSatisfy { $0.modified != nil })
        #expect(entries.filter { $0.kind == .file(ByteCount(7)) }.count == 430)
        let (deep, inner) = try list(["files", "in", "deep"], of: backend)
        let file = try stored(try #require(inner.first), in: deep)
        #expect(file.size == ByteCount(4))
        #expect(try backend.open(file).bytes(0..<4) == Array("two!".utf8))
        #expect(try bench.vault.counter("notified_downloads") == 0)
    }

    @Test func `a file can be fetched whole or in part, and only what was asked for is given`() throws {
        let bench = try MFTBench()
        let bytes = patterned(300_000, seed: 4)
        let backend = bench.backend()
        let session = try bench.session("monday", of: backend)
        let file = try bench.send("a", bytes, in: session, of: backend)
        try backend.complete(try bench.manifest(session, [file]))
        let content = try #require(try backend.open(file) as? any FetchedContent)
        for range in [0..<300_000, 0..<1, 1000..<2000, 299_999..<300_000] {
            let sink = Collecting()
            let outcome = Monitor<Result<Void, RemoteError>?>(nil)
            _ = content.fetch(UInt64(range.lowerBound)..<UInt64(range.upperBound), into: sink) { result in
                outcome.withLock { $0 = result }
            }
            let result = try #require(outcome.wait(until: .after(.seconds(20))) { $0 })
            #expect(throws: Never.self) { try result.get() }
            #expect(sink.bytes.withLock { $0 } == Array(bytes[range]))
        }
        #expect(try content.bytes(299_990..<400_000) == Array(bytes[299_990...]))
        #expect(try content.bytes(300_000..<300_001).isEmpty)
        // One whole download for all reads of a handle, and nobody was mailed.
        #expect(try bench.vault.counter("quiet_downloads") == 5)
        #expect(try bench.vault.counter("notified_downloads") == 0)
        // Nobody has believed the URLs in the answer to the completion.
        #expect(try bench.vault.counter("astray") == 0)
    }

    @Test(arguments: ["2021", "2018"])
    func `a file is EBUSY until the service is through with it, and EACCES when it is blocked`(vintage: String) throws {
        let bench = try MFTBench()
        try bench.vault.set(
            .object([.init("status_vintage", .string(vintage)), .init("composing_milliseconds", 600_000)]))
        let backend = bench.backend()
        let session = try bench.session("monday", of: backend)
        let file = try bench.send("a", [1, 2, 3], in: session, of: backend)
        #expect(try backend.processing(of: file).stage == .gone)
        try backend.complete(try bench.manifest(session, [file]))
        #expect(try backend.processing(of: file) == FileProcessing(.pending, "Composing", size: vintage))
        #expect(throws: RemoteError.beingProcessed("Composing")) { try backend.open(file) }
        #expect(RemoteError.beingProcessed("Composing").errno == .resourceBusy)
        try bench.vault.set(["composing_milliseconds": 0])
        for (outcome, errno) in [
            ("Blocked", Errno.permissionDenied), ("BlockedNoSanitization", .permissionDenied),
            ("ProcessingFailed", .ioError), ("Expired", .noSuchFileOrDirectory), ("Deleted", .noSuchFileOrDirectory),
        ] {
            try bench.vault.setOutcome(outcome, of: "a")
            #expect(try backend.processing(of: file).word == outcome)
            do throws(RemoteError) {
                _ = try backend.open(file)
                Issue.record("\(outcome) was opened")
            } catch { #expect(error.errno == errno, "\(outcome)") }
        }
        try bench.vault.setOutcome("Available", of: "a")
        #expect(try backend.open(file).bytes(0..<3) == [1, 2, 3])
    }

    @Test func `a file the service has changed has its new size`() throws {
        let bench = try MFTBench()
        try bench.vault.set(["sanitizes": true])
        let backend = bench.backend()
        let session = try bench.session("monday", of: backend)
        let file = try bench.send("a", [1, 2, 3], in: session, of: backend)
        try backend.complete(try bench.manifest(session, [file]))
        let processing = try backend.processing(of: file)
        #expect(processing.isChanged && processing.size == ByteCount(13))
        #expect(try backend.open(file).bytes(0..<100) == Array("sanitized:".utf8) + [1, 2, 3])
    }

    @Test func `names that nobody checked are listed as they are`() throws {
        let bench = try MFTBench()
        let names = [
            "/", "..", ".", "nul\u{0}", "line\nfeed", "\u{202e}bidi", String(repeating: "x", count: 300), "twice",
            "twice",
        ]
        try bench.vault.seed(["files": .array(names.map { ["name": .string($0), "text": "x"] })])
        let entries = try list(["files"], of: bench.backend()).1
        #expect(entries.map { String(decoding: $0.name, as: UTF8.self) }.sorted() == names.sorted())
    }
}

extension FileProcessing {
    /// What an untroubled file of three bytes has in a vintage of the status.
    fileprivate init(_ stage: Stage, _ word: String, size vintage: String) {
        self.init(stage, word)
        size = vintage == "2021" ? ByteCount(3) : nil
    }
}

private final class Collecting: ByteSink {
    let bytes = Mutex<[UInt8]>([])

    func receive(_ piece: UnsafeRawBufferPointer) -> Bool {
        bytes.withLock { $0.append(contentsOf: piece) }
        return true
    }
}
