import CSyscalls
import Glibc

/// What a mapped directory still holds, live and as versions, looked at behind the mount's back.
enum Kept {
    /// Every content below the backing directory: live files and everything under `.fxversions`.
    static func contents(_ backing: String) throws -> Set<[UInt8]> {
        var contents: Set<[UInt8]> = []
        try collect(Array(backing.utf8), into: &contents)
        return contents
    }

    /// By bytes: a name that is not UTF-8 does not survive a String.
    private static func collect(_ path: [UInt8], into contents: inout Set<[UInt8]>) throws {
        guard let directory = path.withTerminator({ opendir($0) }) else {
            throw CallFailed(call: "opendir \(String(decoding: path, as: UTF8.self))", outcome: Outcome(errno: errno))
        }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            if name == [0x2e] || name == [0x2e, 0x2e] { continue }
            let child = path + [0x2f] + name
            var status = stat()
            guard child.withTerminator({ lstat($0, &status) }) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFDIR { try collect(child, into: &contents) }
            guard status.st_mode & S_IFMT == S_IFREG else { continue }
            let number = child.withTerminator { cs_open($0, O_RDONLY, 0) }
            guard number >= 0 else { continue }
            let file = Descriptor(Int32(number))
            contents.insert(try file.readAll())
        }
    }

    /// Names that no tool should have left: temporary and lock files, unfinished versions.
    static func debris(_ backing: String) throws -> [String] {
        try Sys.files(below: backing).filter { path in
            let name = path.split(separator: "/").last.map(String.init) ?? path
            if path.hasPrefix(".fxversions/") { return name.hasPrefix(".partial") }
            return name.hasSuffix(".lock") || name.hasSuffix(".tmp") || name.hasSuffix(".part") || name.hasSuffix("~")
                || name.hasSuffix(".swp") || name == "4913" || name.hasPrefix("tmp_")
                || name.hasPrefix(".goutputstream-")
                || name.hasSuffix("-journal") || name.hasSuffix("-wal") || name.hasSuffix("-shm")
                || (name.hasPrefix(".") && name.split(separator: ".").count >= 2
                    && name.split(separator: ".").last?.count == 6
                    && path.contains("rsync"))
        }
    }
}

/// splitmix64: small, fast and the same everywhere, so that a printed seed replays.
struct SeededRandom: RandomNumberGenerator {
    let seed: UInt64
    private var state: UInt64

    init(seed: UInt64) { (self.seed, state) = (seed, seed) }

    /// The seed of FXMOUNT_SEED, else a new one; printed either way.
    static func forTest(_ name: String) -> SeededRandom {
        let seed =
            Environment.value("FXMOUNT_SEED").flatMap { UInt64($0) } ?? UInt64(cs_now_ms()) &* 2_654_435_761
            % 1_000_000_007
        print("\(name): FXMOUNT_SEED=\(seed)")
        return SeededRandom(seed: seed)
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(count + 8)
        while result.count < count { withUnsafeBytes(of: next()) { result.append(contentsOf: $0) } }
        return Array(result.prefix(count))
    }
}

extension [UInt8] {
    fileprivate func withTerminator<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
        (self + [0]).map(CChar.init(bitPattern:)).withUnsafeBufferPointer { body($0.baseAddress!) }
    }
}
