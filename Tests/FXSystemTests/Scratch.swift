import FXSystem
import Foundation
import Glibc
import SystemPackage
import Testing

/// A directory of one test, removed with everything in it when the test is over.
final class Scratch: Sendable {
    let path: String

    init() throws {
        path = "\(ProcessInfo.processInfo.environment["TMPDIR"] ?? "/tmp")/fxsystem-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    func descriptor() throws -> OwnedDescriptor { try .open(absolute: path, [.readOnly, .directory]) }

    func file(_ name: String, _ flags: OpenFlags = [.readWrite, .create], mode: UInt32 = 0o644) throws
        -> OwnedDescriptor
    {
        try descriptor().open(try Name(name), flags, mode: mode)
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

    /// Few values, chosen so that they collide with every rule of a name.
    mutating func bytes(upTo count: Int) -> [UInt8] {
        let alphabet: [UInt8] = [0, 0x2e, 0x2f, 0x41, 0x0a, 0x1b, 0x5c, 0xc3, 0xa9, 0xff, 0xe2, 0x80, 0xae]
        let length = Int(next() % UInt64(count + 1))
        return (0..<length).map { _ in alphabet[Int(next() % UInt64(alphabet.count))] }
    }
}

/// Runs `body` on a thread of its own and waits for its end: what it does to its credentials ends with it.
func onThread<Result: Sendable>(_ body: @escaping @Sendable () -> Result) throws -> Result {
    let box = Monitor<Result?>(nil)
    let thread = try ServiceThread(name: "test") {
        let result = body()
        box.withLock { $0 = result }
    }
    thread.join()
    return try #require(box.withLock { $0 })
}
