import CSyscalls
import Glibc

/// An open descriptor that closes itself; always close-on-exec.
final class Descriptor {
    private(set) var number: Int32
    init(_ number: Int32) { self.number = number }
    deinit { if number >= 0 { _ = cs_close(number) } }

    /// close(2) with its answer.
    @discardableResult func close() -> Outcome {
        guard number >= 0 else { return Outcome(errno: EBADF) }
        defer { number = -1 }
        return Outcome(cs_close(number))
    }

    @discardableResult func write(_ bytes: [UInt8]) -> Outcome {
        var done = 0
        while done < bytes.count {
            let result = bytes.withUnsafeBytes { cs_write(number, $0.baseAddress! + done, bytes.count - done) }
            if result < 0 { return Outcome(result) }
            done += result
        }
        return .ok
    }

    func write(_ text: String) -> Outcome { write(Array(text.utf8)) }

    @discardableResult func write(_ bytes: [UInt8], at offset: Int) -> Outcome {
        let result = bytes.withUnsafeBytes { cs_pwrite(number, $0.baseAddress, bytes.count, Int64(offset)) }
        return result >= 0 && result != bytes.count ? Outcome(errno: EIO) : Outcome(result)
    }

    func read(_ count: Int, at offset: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let result = bytes.withUnsafeMutableBytes { cs_pread(number, $0.baseAddress, count, Int64(offset)) }
        if result < 0 { throw CallFailed(call: "pread", outcome: Outcome(result)) }
        return Array(bytes[..<result])
    }

    func readAll() throws -> [UInt8] {
        var all: [UInt8] = []
        while true {
            let more = try read(1 << 20, at: all.count)
            if more.isEmpty { return all }
            all += more
        }
    }

    func status() throws -> cs_status {
        var status = cs_status()
        let result = cs_fstat(number, &status)
        if result < 0 { throw CallFailed(call: "fstat", outcome: Outcome(result)) }
        return status
    }

    func truncate(_ length: Int) -> Outcome { Outcome(cs_ftruncate(number, Int64(length))) }
    func fallocate(_ mode: Int, _ offset: Int, _ length: Int) -> Outcome {
        Outcome(cs_fallocate(number, Int32(mode), Int64(offset), Int64(length)))
    }
    func sync() -> Outcome { Outcome(cs_fsync(number)) }
    func store(_ byte: UInt8, count: Int, at offset: Int) -> Outcome {
        Outcome(cs_mmap_store(number, Int64(offset), count, byte, 1))
    }
}

/// The system calls by their own names; each answers its errno.
enum Sys {
    static func open(_ path: String, _ flags: Int32, _ mode: UInt32 = 0o644) throws -> Descriptor {
        let result = cs_open(path, flags, mode)
        if result < 0 { throw CallFailed(call: "open \(path)", outcome: Outcome(result)) }
        return Descriptor(Int32(result))
    }

    /// What open(2) answers; the descriptor is closed again.
    static func opening(_ path: String, _ flags: Int32, _ mode: UInt32 = 0o644) -> Outcome {
        let result = cs_open(path, flags, mode)
        if result >= 0 { _ = cs_close(Int32(result)) }
        return Outcome(result)
    }

    static func unlink(_ path: String) -> Outcome { Outcome(cs_unlink(path)) }
    static func rmdir(_ path: String) -> Outcome { Outcome(cs_rmdir(path)) }
    @discardableResult static func mkdir(_ path: String, _ mode: UInt32 = 0o755) -> Outcome {
        Outcome(cs_mkdir(path, mode))
    }
    static func rename(_ from: String, _ to: String) -> Outcome { Outcome(cs_rename(from, to)) }
    static func rename(_ from: String, _ to: String, flags: Int) -> Outcome {
        Outcome(cs_renameat2(from, to, UInt32(flags)))
    }
    static func link(_ from: String, _ to: String) -> Outcome { Outcome(cs_link(from, to)) }
    @discardableResult static func symlink(_ target: String, _ path: String) -> Outcome {
        Outcome(cs_symlink(target, path))
    }
    static func truncate(_ path: String, _ length: Int) -> Outcome { Outcome(cs_truncate(path, Int64(length))) }
    static func chmod(_ path: String, _ mode: UInt32) -> Outcome { Outcome(cs_chmod(path, mode)) }
    static func chown(_ path: String, _ uid: UInt32, _ gid: UInt32) -> Outcome { Outcome(cs_chown(path, uid, gid)) }
    static func utime(_ path: String, _ seconds: Int, _ nanoseconds: Int = 0) -> Outcome {
        Outcome(cs_utime(path, Int64(seconds), nanoseconds))
    }
    static func setAttribute(_ path: String, _ name: String, _ value: String, flags: Int32 = 0) -> Outcome {
        Outcome(value.withCString { cs_setxattr(path, name, $0, value.utf8.count, flags) })
    }
    static func removeAttribute(_ path: String, _ name: String) -> Outcome { Outcome(cs_removexattr(path, name)) }

    static func attribute(_ path: String, _ name: String) throws -> String {
        var buffer = [UInt8](repeating: 0, count: 65536)
        let result = cs_getxattr(path, name, &buffer, buffer.count)
        if result < 0 { throw CallFailed(call: "getxattr \(name) \(path)", outcome: Outcome(result)) }
        return String(decoding: buffer[..<result], as: UTF8.self)
    }

    static func attributes(_ path: String) throws -> [String] {
        var buffer = [CChar](repeating: 0, count: 65536)
        let result = cs_listxattr(path, &buffer, buffer.count)
        if result < 0 { throw CallFailed(call: "listxattr \(path)", outcome: Outcome(result)) }
        return buffer[..<result].split(separator: 0).map {
            String(decoding: $0.map(UInt8.init(bitPattern:)), as: UTF8.self)
        }
    }

    static func status(_ path: String, follow: Bool = false) throws -> cs_status {
        var status = cs_status()
        let result = cs_stat(path, &status, follow ? 1 : 0)
        if result < 0 { throw CallFailed(call: "stat \(path)", outcome: Outcome(result)) }
        return status
    }

    static func stating(_ path: String) -> Outcome {
        var status = cs_status()
        return Outcome(cs_stat(path, &status, 0))
    }

    static func exists(_ path: String) -> Bool { stating(path).succeeded }

    static func readlink(_ path: String) throws -> String {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let result = buffer.withUnsafeMutableBytes {
            cs_readlink(path, $0.bindMemory(to: CChar.self).baseAddress, 4096)
        }
        if result < 0 { throw CallFailed(call: "readlink \(path)", outcome: Outcome(result)) }
        return String(decoding: buffer[..<result], as: UTF8.self)
    }

    static func read(_ path: String) throws -> [UInt8] { try open(path, O_RDONLY).readAll() }
    static func text(_ path: String) throws -> String { String(decoding: try read(path), as: UTF8.self) }

    /// Creates or replaces a file as `cmd > file` does; every answer, close's too, must be success.
    static func write(
        _ path: String, _ bytes: [UInt8], flags: Int32 = O_WRONLY | O_CREAT | O_TRUNC, mode: UInt32 = 0o644
    ) throws {
        let file = try open(path, flags, mode)
        for (call, outcome) in [("write", file.write(bytes)), ("close", file.close())] where !outcome.succeeded {
            throw CallFailed(call: "\(call) \(path)", outcome: outcome)
        }
    }

    static func write(_ path: String, _ text: String) throws { try write(path, Array(text.utf8)) }

    /// The first failure of open, write, close.
    static func writing(_ path: String, _ text: String, flags: Int32 = O_WRONLY | O_CREAT | O_TRUNC) -> Outcome {
        do {
            try write(path, Array(text.utf8), flags: flags)
            return .ok
        } catch {
            return (error as? CallFailed)?.outcome ?? Outcome(errno: EIO)
        }
    }

    /// The names of a directory, without `.` and `..`, sorted.
    static func list(_ path: String) throws -> [String] {
        guard let directory = opendir(path) else {
            throw CallFailed(call: "opendir \(path)", outcome: Outcome(errno: errno))
        }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Every regular file below a directory, as paths relative to it.
    static func files(below root: String, _ relative: String = "") throws -> [String] {
        try list(relative.isEmpty ? root : "\(root)/\(relative)").flatMap { name -> [String] in
            let path = relative.isEmpty ? name : "\(relative)/\(name)"
            let kind = try status("\(root)/\(path)").mode & S_IFMT
            if kind == S_IFDIR { return try files(below: root, path) }
            return kind == S_IFREG ? [path] : []
        }
    }
}

/// Waits for a condition with a deadline; answers whether it came true.
func waitUntil(seconds: Double = 10, _ condition: () throws -> Bool) rethrows -> Bool {
    let end = cs_now_ms() + Int64(seconds * 1000)
    while true {
        if try condition() { return true }
        if cs_now_ms() > end { return false }
        cs_sleep_ms(10)
    }
}
