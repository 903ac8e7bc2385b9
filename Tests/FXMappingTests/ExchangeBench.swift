import FXSystem
import Foundation
import SystemPackage
import Testing

@testable import FXMapping

/// An exchange over real directories and a real database, with a user who follows a script.
final class ExchangeBench: Sendable {
    let scratch: Scratch
    let registry: TypeRegistry
    let chooser = ScriptedChooser()
    let notices = RecordedNotices()
    let events = EventLog()
    let shared: SharedExchange
    let exchange: FileExchange
    let home: String

    init(policy: Policy = .keepVersions, transfers: TransferBoard = TransferBoard()) throws {
        scratch = try Scratch()
        let state = try scratch.directory("state")
        home = try scratch.directory("home")
        registry = try TypeRegistry(databasePath: state + "/mappings.sqlite")
        shared = SharedExchange(
            registry: registry, gate: try SharedGate(patterns: .standard, events: events), chooser: chooser,
            notices: notices,
            settings: ExchangeSettings(
                home: home, spoolDirectory: state, defaultPolicy: policy, promptTimeout: .milliseconds(50)),
            transfers: transfers)
        exchange = shared.exchange(for: try ApplicationID("app.example.org"))
    }

    deinit { shared.gate.stop() }

    /// A second application of the same process.
    func other() throws -> FileExchange { shared.exchange(for: try ApplicationID("other.example.org")) }

    /// The same database and directories in another process: a gate that knows nothing of this one.
    func secondProcess() throws -> SharedExchange {
        SharedExchange(
            registry: try TypeRegistry(databasePath: scratch.path + "/state/mappings.sqlite"),
            gate: try SharedGate(patterns: .standard, events: events), chooser: chooser, settings: shared.settings)
    }

    func type(_ name: String = "scans", entity: String = "clinic") throws -> TypeAddress {
        try TypeAddress(entity: entity, type: name)
    }

    /// A type mapped to a directory of its own.
    @discardableResult
    func map(_ name: String = "scans", entity: String = "clinic", _ policy: Policy? = nil) throws -> TypeAddress {
        let address = try type(name, entity: entity)
        let path = try scratch.directory(name)
        _ = try exchange.createType(address, initPath: path, .onlyIfNeeded)
        if let policy {
            try registry.setPolicy(
                policy, ofType: address.type, of: address.entity, in: exchange.application, weakening: .allowed)
        }
        return address
    }

    func file(_ name: String, in folder: [String] = [], of type: String = "scans") throws -> FileAddress {
        try FileAddress(try self.type(type), relPath: folder, fileName: name)
    }

    @discardableResult
    func put(
        _ text: String, to file: FileAddress, _ missing: FileExchange.MissingType = .refused,
        by exchange: FileExchange? = nil
    ) throws -> FileEntry {
        let exchange = exchange ?? self.exchange
        let content = try exchange.beginDownload(near: file.type)
        try content.write(Array(text.utf8))
        return try exchange.download(content, to: file, missing)
    }

    func get(_ file: FileAddress) throws -> String {
        let upload = try exchange.upload(file)
        let bytes = try upload.read(Int(upload.size.rawValue), at: .zero)
        upload.finish()
        return String(decoding: bytes, as: UTF8.self)
    }

    /// As anybody sees it on the disk.
    func onDisk(_ path: String) -> String? {
        FileManager.default.contents(atPath: "\(scratch.path)/\(path)").map { String(decoding: $0, as: UTF8.self) }
    }

    func lay(_ path: String, _ text: String) throws {
        let whole = "\(scratch.path)/\(path)"
        try FileManager.default.createDirectory(
            atPath: (whole as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
        #expect(FileManager.default.createFile(atPath: whole, contents: Data(text.utf8)))
    }

    /// The versions of a path of a type, oldest first.
    func versions(_ path: String, of type: String = "scans") throws -> [String] {
        let store = try VersionStore(root: try .open(absolute: "\(scratch.path)/\(type)", [.readOnly, .directory]))
        return try store.list(try RelativePath(path)).reversed().map {
            String(decoding: try content(of: try store.open($0)), as: UTF8.self)
        }
    }
}

/// Keeps what the user would have been told.
final class RecordedNotices: TransferNotices {
    private let told = Monitor<[TransferRecord]>([])
    func tell(_ transfer: TransferRecord) { told.withLock { $0.append(transfer) } }
    var records: [TransferRecord] { told.withLock { $0 } }
}
