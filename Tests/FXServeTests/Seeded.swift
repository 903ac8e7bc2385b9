import Glibc

/// Random numbers that can be had again.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    /// SplitMix64.
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// In 0..<bound.
    mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }
}

/// `count` seeds in a row from a random first one, or the one of FXMOUNT_SEED.
func seeds(_ count: Int) -> [UInt64] {
    if let text = unsafe getenv("FXMOUNT_SEED"), let seed = UInt64(unsafe String(cString: text)) { return [seed] }
    let first = UInt64.random(in: 0..<(1 << 40))
    return (0..<UInt64(count)).map { first + $0 }
}
