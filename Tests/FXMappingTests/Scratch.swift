import FXSystem
import Foundation
import Glibc
import SystemPackage

/// A directory of one test, removed with everything in it when the test is over.
final class Scratch: Sendable {
    let path: String
    private let isMounted: Bool

    init() throws {
        path = try Scratch.make()
        isMounted = false
    }

    /// A file system of its own; nil where mounting is not allowed or the tool is missing.
    init?(mounting command: (String) -> [String]) throws {
        path = try Scratch.make()
        let arguments = command(path)
        guard geteuid() == 0, Scratch.run(arguments) == 0 else {
            try? FileManager.default.removeItem(atPath: path)
            return nil
        }
        isMounted = true
    }

    private static func make() throws -> String {
        let base = ProcessInfo.processInfo.environment["TMPDIR"] ?? "/tmp"
        let path = "\(base)/fxmapping-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }

    /// By system(3) and not by Process, which waits for everybody who inherited its socket: a mount's daemon never
    /// ends.
    static func run(_ arguments: [String]) -> Int32 {
        let quoted = arguments.map { "'" + $0.replacingOccurrences(of: "'", with: "'\\''") + "'" }
        return unsafe system(quoted.joined(separator: " ") + " </dev/null >/dev/null 2>&1")
    }

    func descriptor() throws -> OwnedDescriptor { try .open(absolute: path, [.readOnly, .directory]) }

    func directory(_ name: String) throws -> String {
        let directory = "\(path)/\(name)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        return directory
    }

    /// Writes a file in place, made if missing.
    func write(_ bytes: [UInt8], to name: Name, mode: UInt32 = 0o644) throws {
        let file = try descriptor().open(name, [.writeOnly, .create, .truncate], mode: mode)
        try file.write(bytes, at: 0)
        try file.setPermissions(mode)
    }

    func read(_ name: Name) throws -> [UInt8] { try content(of: try descriptor().open(name, .readOnly)) }

    deinit {
        if isMounted { _ = Scratch.run(["umount", path]) }
        try? FileManager.default.removeItem(atPath: path)
    }
}

func content(of file: borrowing OwnedDescriptor) throws -> [UInt8] {
    try file.read(Int(try file.status().size.rawValue), at: 0)
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

/// A clock so far ahead that every change counts as settled.
let laterClock = WallClock {
    let now = WallClock.system.now()
    return Timestamp(seconds: now.seconds + 10, nanoseconds: now.nanoseconds)
}
