import FXSystem
import Glibc
import SystemPackage
import Testing

@testable import FXRemote

/// What every backend must do; the double and the store pass the same suite.
@Suite struct ConformanceTests {
    enum Service: String, CaseIterable, Sendable {
        case inMemory, localStore, localStoreCopying

        func make(in bench: Workbench) throws -> any Backend {
            switch self {
            case .inMemory: InMemoryService(chunk: ByteCount(1000))
            case .localStore: try LocalStore(path: bench.path + "/store")
            case .localStoreCopying: try LocalStore(path: bench.path + "/store", adoptsSpoolFiles: false)
            }
        }
    }

    private struct Bytes: UploadContent {
        let bytes: [UInt8]
        var identity: FileIdentity? { nil }

        func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(RemoteError) -> Int {
            let piece = bytes.dropFirst(Int(offset)).prefix(buffer.count)
            unsafe buffer.copyBytes(from: piece)
            return piece.count
        }

        func link(as name: Name, in directory: borrowing OwnedDescriptor) throws(RemoteError) { throw .notSupported }
    }

    private func upload(_ id: String, _ path: String, _ bytes: [UInt8]) throws -> Upload {
        Upload(
            id: UploadID(id), path: try RelativePath(path), size: ByteCount(UInt64(bytes.count)),
            sha256: SHA256Digest(hashing: bytes),
            modified: Timestamp(seconds: 1_000))
    }

    private func stored(_ path: String) throws -> StoredFile {
        StoredFile(path: try RelativePath(path), remoteID: path, size: .zero)
    }

    private func send(_ bytes: [UInt8], as upload: Upload, to backend: any Backend) throws {
        _ = try backend.begin(upload)
        if !bytes.isEmpty { try backend.send(0..<UInt64(bytes.count), of: upload, from: Bytes(bytes: bytes)) }
        _ = try backend.commit(upload)
    }

    private func content(_ path: String, of backend: any Backend) throws -> [UInt8] {
        let content = try backend.open(try stored(path))
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = try unsafe bytes.withUnsafeMutableBufferPointer { buffer throws(RemoteError) in
            try unsafe content.read(into: UnsafeMutableRawBufferPointer(buffer), at: 0)
        }
        return Array(bytes.prefix(count))
    }

    @Test(arguments: Service.allCases) func `a committed upload is whole, visible and known again`(service: Service)
        throws
    {
        let bench = try Workbench()
        let backend = try service.make(in: bench)
        try backend.prepare()
        _ = try backend.makeDirectory(try RelativePath("s"), in: .root)
        _ = try backend.makeDirectory(try RelativePath("s"), in: .root)
        for bytes in [[], [1], pattern(5000)] {
            let upload = try upload("u\(bytes.count)", "s/d/f\(bytes.count)", bytes)
            #expect(try backend.standing(of: upload) == .nothing)
            try send(bytes, as: upload, to: backend)
            guard case .committed(let file) = try backend.standing(of: upload) else {
                Issue.record("not committed")
                continue
            }
            #expect(file.size == upload.size)
            #expect(try content("s/d/f\(bytes.count)", of: backend) == bytes)
        }
    }

    @Test(arguments: Service.allCases) func `nothing is visible before the commit, and a half can be continued`(
        service: Service
    ) throws {
        let bench = try Workbench()
        let backend = try service.make(in: bench)
        let bytes = pattern(3000)
        let upload = try upload("half", "s/f", bytes)
        _ = try backend.begin(upload)
        try backend.send(0..<1000, of: upload, from: Bytes(bytes: bytes))
        #expect(throws: RemoteError.self) { try backend.open(try stored("s/f")) }
        #expect(try backend.standing(of: upload) == .partial(ByteRanges(upTo: 1000)))
        #expect(try backend.unfinishedUploads() == [UploadID("half")])
        _ = try backend.begin(upload)
        try backend.send(1000..<3000, of: upload, from: Bytes(bytes: bytes))
        _ = try backend.commit(upload)
        #expect(try content("s/f", of: backend) == bytes)
        #expect(try backend.unfinishedUploads().isEmpty)
    }

    @Test(arguments: Service.allCases) func `content that is not what was promised is never visible`(service: Service)
        throws
    {
        let bench = try Workbench()
        let backend = try service.make(in: bench)
        let upload = try upload("bad", "s/f", pattern(100))
        _ = try backend.begin(upload)
        try backend.send(0..<100, of: upload, from: Bytes(bytes: pattern(100, seed: 7)))
        #expect(throws: RemoteError.verificationMismatch) { try backend.commit(upload) }
        #expect(throws: RemoteError.self) { try backend.open(try stored("s/f")) }
        try send(pattern(100), as: upload, to: backend)
        #expect(try content("s/f", of: backend) == pattern(100))
    }

    @Test(arguments: Service.allCases) func `renames happen once, however often they are asked for`(service: Service)
        throws
    {
        let bench = try Workbench()
        let backend = try service.make(in: bench)
        try send([1], as: try upload("a", "s/a", [1]), to: backend)
        try send([2], as: try upload("b", "s/b", [2]), to: backend)
        for _ in 0..<2 {
            try backend.rename(try RelativePath("s/a"), to: try RelativePath("s/b"), aside: UploadID("aside"))
        }
        #expect(try content("s/b", of: backend) == [1])
        #expect(throws: RemoteError.self) { try backend.open(try stored("s/a")) }
    }

    @Test(arguments: Service.allCases) func `a complete session takes nothing more and can be completed again`(
        service: Service
    ) throws {
        let bench = try Workbench()
        let backend = try service.make(in: bench)
        try send([1], as: try upload("a", "s/a", [1]), to: backend)
        let manifest = SessionManifest(
            session: try Name("s"), directory: StoredDirectory(path: try RelativePath("s"), remoteID: nil), files: [])
        try backend.complete(manifest)
        try backend.complete(manifest)
        #expect(throws: RemoteError.sessionClosed(.complete)) {
            try send([2], as: try upload("b", "s/b", [2]), to: backend)
        }
        #expect(try content("s/a", of: backend) == [1])
    }

    @Test(arguments: ["\u{1}\n", "-rf", String(repeating: "x", count: 255), "ä\u{202e}", "manifest"])
    func `odd names are carried`(name: String) throws {
        let bench = try Workbench()
        let service = try bench.service()
        try service.start()
        defer { service.stop() }
        let tree = service.trees[0]
        let session = try tree.session("s")
        let id = try tree.put(name, [1, 2], in: session)
        #expect(try tree.get(id) == [1, 2])
        try tree.complete(session)
    }

    @Test func `names the store needs are EINVAL`() throws {
        let bench = try Workbench()
        let service = try bench.service()
        try service.start()
        defer { service.stop() }
        let tree = service.trees[0]
        #expect(throws: RemoteError.reservedName) { try tree.session(".staging") }
        let session = try tree.session("s")
        #expect(throws: RemoteError.reservedName) { try tree.put(".fxmount-manifest.json", [], in: session) }
        #expect(RemoteError.reservedName.errno == .invalidArgument)
    }
}
