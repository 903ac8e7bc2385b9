import FXSystem
import SystemPackage
import Testing

@testable import FXMapping

/// One mapped directory and its gate, without a kernel: calls as FUSE would make them.
final class GateBench: Sendable {
    let scratch: Scratch
    let root: MappedRoot
    let shared: SharedGate
    let events: EventLog
    static let caller = Caller(uid: 0, gid: 0, thread: 0)
    static let other = Caller(uid: 65534, gid: 65534, thread: 0)

    convenience init(_ policy: Policy) throws {
        let events = EventLog()
        try self.init(policy, shared: SharedGate(patterns: .standard, events: events), events: events)
    }

    init(_ policy: Policy, shared: SharedGate, events: EventLog) throws {
        scratch = try Scratch()
        self.events = events
        self.shared = shared
        root = try Self.root(policy, scratch, shared)
    }

    private static func root(_ policy: Policy, _ scratch: Scratch, _ shared: SharedGate) throws -> MappedRoot {
        let type = MappedType(
            id: 1, entity: try EntityName("e"), name: try TypeName("t"), path: scratch.path, policy: policy,
            createdAt: Timestamp(seconds: 0))
        return try MappedRoot(type, shared: shared)
    }

    /// The same directory as it is after the end of this mount.
    func restarted(_ policy: Policy) throws -> MappedRoot {
        try Self.root(policy, scratch, try SharedGate(patterns: .standard, events: events))
    }

    func place(_ name: String) throws -> Place {
        let name = try Name(name)
        return Place(directory: root.status.identity, name: name, parentName: nil, path: { RelativePath([name]) })
    }

    func status(_ name: String) throws -> FileStatus { try root.descriptor.status(of: try Name(name)) }
    func exists(_ name: String) -> Bool { (try? status(name)) != nil }
    func text(_ name: String) throws -> String { String(decoding: try scratch.read(try Name(name)), as: UTF8.self) }

    /// A file that was there before.
    func lay(_ name: String, _ text: String) throws { try scratch.write(Array(text.utf8), to: try Name(name)) }

    func create(
        _ name: String, _ flags: OpenFlags = [.readWrite, .create], mode: UInt32 = 0o644,
        by caller: Caller = GateBench.caller
    ) throws -> MappedFile {
        try root.create(try place(name), in: root.descriptor, flags: flags, mode: mode, by: caller)
    }

    func open(_ name: String, _ flags: OpenFlags, by caller: Caller = GateBench.caller) throws -> MappedFile {
        try root.open(
            try place(name), in: root.descriptor, expecting: try status(name).identity, flags: flags, by: caller)
    }

    func write(_ text: String, to file: MappedFile, at offset: UInt64 = 0, appending: Bool = false, name: String) throws
    {
        let place = try place(name)
        try file.withWriteTarget(at: offset, appending: appending, place: { place }, by: GateBench.caller) {
            descriptor throws(Errno) in
            try descriptor.write(Array(text.utf8), at: offset)
        }
    }

    func close(_ file: MappedFile) throws {
        try file.flush { RelativePath() }
        file.release(mayBeMapped: false) { RelativePath() }
    }

    /// Creates, writes and closes.
    func make(_ name: String, _ text: String, by caller: Caller = GateBench.caller) throws {
        let file = try create(name, by: caller)
        try write(text, to: file, name: name)
        try close(file)
    }

    func remove(_ name: String, by caller: Caller = GateBench.caller) throws {
        try root.remove(try place(name), in: root.descriptor, by: caller)
    }

    func rename(_ old: String, _ new: String, _ mode: RenameMode = .replace, by caller: Caller = GateBench.caller)
        throws
    {
        try root.rename(
            try place(old), in: root.descriptor, to: try place(new), in: root.descriptor, of: root, mode, by: caller)
    }

    /// Into another type of the same mount.
    func rename(_ old: String, into target: GateBench, as new: String, by caller: Caller = GateBench.caller) throws {
        try root.rename(
            try place(old), in: root.descriptor, to: try target.place(new), in: target.root.descriptor, of: target.root,
            .replace, by: caller)
    }

    func link(_ old: String, _ new: String) throws {
        let file = try root.descriptor.open(try Name(old), .pathOnly)
        try root.link(file, as: try place(new), in: root.descriptor, by: GateBench.caller)
    }

    func truncate(_ name: String, to size: UInt64) throws {
        try root.truncate(
            try place(name), in: root.descriptor, expecting: try status(name).identity, to: ByteCount(size),
            by: GateBench.caller)
    }

    func versions(_ name: String) throws -> [String] {
        try root.versions.list(RelativePath([try Name(name)])).map {
            String(decoding: try content(of: try root.versions.open($0)), as: UTF8.self)
        }
    }

    /// What a call is refused with; nil when it succeeded.
    static func errno(_ body: () throws -> Void) -> Errno? {
        do {
            try body()
            return nil
        } catch {
            return error as? Errno
        }
    }

    deinit { shared.stop() }
}
