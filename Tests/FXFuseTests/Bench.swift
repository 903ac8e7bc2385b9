import FXSystem
import Foundation
import SystemPackage

@testable import FXFuse

/// A node that is nothing but its key.
final class PlainNode: Node {
    let key: NodeKey
    private let adopted = Monitor(0)
    init(_ key: NodeKey) { self.key = key }
    var timesAdopted: Int { adopted.withLock { $0 } }

    func status(using handle: (any FXFuse.FileHandle)?) throws(Errno) -> FileStatus {
        .virtual(type: .regular, permissions: 0o600, inode: 7)
    }
    func space() throws(Errno) -> FileSystemSpace { throw .noFunction }
    func adopt(_ other: any Node) { adopted.withLock { $0 += 1 } }
}

/// A directory of one test, removed with everything in it when the test is over.
final class Scratch: Sendable {
    let path: String

    init() throws {
        path = "\(ProcessInfo.processInfo.environment["TMPDIR"] ?? "/tmp")/fxfuse-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    func descriptor() throws -> OwnedDescriptor { try .open(absolute: path, [.readOnly, .directory]) }

    func text(_ name: String) -> String? { try? String(contentsOfFile: "\(path)/\(name)", encoding: .utf8) }
    func lay(_ name: String, _ text: String) throws {
        try text.write(toFile: "\(path)/\(name)", atomically: false, encoding: .utf8)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// Repeats a test: the seed is printed and can be given as FXMOUNT_TEST_SEED.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init() {
        let given = ProcessInfo.processInfo.environment["FXMOUNT_TEST_SEED"].flatMap { UInt64($0) }
        state = given ?? UInt64.random(in: 0 ... .max)
        print("FXMOUNT_TEST_SEED=\(state)")
    }

    /// SplitMix64.
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
