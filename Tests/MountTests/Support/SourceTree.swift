import CSyscalls
import Glibc

/// A source tree to back up: thousands of files, odd names, sizes from nothing to large, sparse and not.
enum SourceTree {
    static let oddNames: [[UInt8]] = [
        Array("with space".utf8), Array("quote'\"s".utf8), Array("two\nlines".utf8), Array("-dash".utf8),
        Array("ünïcödé 文字".utf8),
        Array("back\\slash".utf8), Array("star*?[x]".utf8), Array(repeating: 0x6c, count: 200), Array("trailing.".utf8),
        Array("a&b;c|d".utf8),
    ]

    /// Fills `root`; answers the number of regular files.
    @discardableResult
    static func make(_ root: String, files: Int, largest: Int = 0, random: inout SeededRandom) throws -> Int {
        Sys.mkdir(root)
        let directories = max(1, files / 40)
        for index in 0..<directories {
            Sys.mkdir("\(root)/d\(index % 10)")
            if index >= 10 { Sys.mkdir("\(root)/d\(index % 10)/s\(index)") }
        }
        for index in 0..<files {
            let directory = index % directories
            let parent = directory >= 10 ? "\(root)/d\(directory % 10)/s\(directory)" : "\(root)/d\(directory)"
            let size = [0, 1, 4095, 4096, 4097, Int.random(in: 0...20_000, using: &random)][index % 6]
            try Sys.write("\(parent)/file \(index)", random.bytes(size))
        }
        Sys.mkdir("\(root)/odd")
        for name in oddNames {
            let path = (Array("\(root)/odd/".utf8) + name + [0]).map(CChar.init(bitPattern:))
            let made = cs_open(path, O_WRONLY | O_CREAT, 0o644)
            if made < 0 { throw CallFailed(call: "open odd name", outcome: Outcome(made)) }
            Descriptor(Int32(made)).write(random.bytes(100))
        }
        try Sys.write("\(root)/medium", random.bytes(9 << 20))
        let sparse = try Sys.open("\(root)/sparse", O_WRONLY | O_CREAT)
        _ = sparse.write(random.bytes(5000), at: 40 << 20)
        if largest > 0 {
            let large = try Sys.open("\(root)/large", O_WRONLY | O_CREAT)
            let block = random.bytes(1 << 20)
            // A full head and tail, sparse between: a real size without writing it all.
            for offset in [0, largest / 2, largest - block.count] { _ = large.write(block, at: offset) }
        }
        return files + oddNames.count + 2 + (largest > 0 ? 1 : 0)
    }

    /// Byte for byte the same files, in both directions. `ignoring`: names of the store's own at the top.
    static func differences(_ a: String, _ b: String, seconds: Double = 120) throws -> String {
        let finished = try run(["diff", "-rq", "--no-dereference", a, b], seconds: seconds)
        return finished.code == 0 ? "" : finished.output + finished.errors
    }
}
