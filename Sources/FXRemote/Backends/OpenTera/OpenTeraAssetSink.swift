internal import FXSystem
internal import Synchronization

/// Makes records of a list of assets while it arrives, so that no list is too long to be read: the server has no pages of
/// it, and 100,000 assets are 40 MB, with access tokens 100.
///
/// Pieces come one after the other on the transport's thread; `list` is called when the answer is over. Lock order:
/// `state` is a leaf, and `choose` runs outside of it.
final class OpenTeraAssetSink: HTTPSink {
    private struct State {
        var splitter = JSONArraySplitter(largestElement: OpenTeraAssetSink.largestElement)
        var list = OpenTeraAssetList()
        var isBroken = false
    }

    private let choose: @Sendable (OpenTeraAsset, Int) -> OpenTeraAsset?
    private let state = Mutex(State())

    /// 1 MiB; a record has about 1 KiB, and a name without a bound.
    static let largestElement = 1 << 20
    /// Records kept of one answer: twice the largest session that is promised. 300 bytes each, so 60 MB, and what
    /// their access tokens have.
    static let limit = 200_000

    /// - Parameter choose: what to keep of a record, if anything; the number is that of the records kept before it.
    init(_ choose: @escaping @Sendable (OpenTeraAsset, Int) -> OpenTeraAsset?) { self.choose = choose }

    func begin(status: Int, fields: HTTPFields) -> Bool {
        state.withLock { $0 = State() }
        return true
    }

    func receive(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let piece = unsafe Array(bytes)
        let (elements, kept) = state.withLock { state -> ([[UInt8]]?, Int) in
            do throws(JSONArraySplitter.Failure) {
                return (try state.splitter.take(piece), state.list.assets.count)
            } catch { return (nil, 0) }
        }
        guard let elements, let chosen = records(elements, kept), kept + chosen.count <= OpenTeraAssetSink.limit else {
            state.withLock { $0.isBroken = true }
            return false
        }
        state.withLock { state in
            state.list.assets += chosen
            state.list.total += elements.count
        }
        return true
    }

    /// What is kept of so many elements; nil when one is no JSON.
    private func records(_ elements: [[UInt8]], _ kept: Int) -> [OpenTeraAsset]? {
        var chosen: [OpenTeraAsset] = []
        for element in elements {
            guard let json = JSONValue(parsing: String(decoding: element, as: UTF8.self)) else { return nil }
            guard let asset = OpenTeraAsset(json) else { continue }
            if let asset = choose(asset, kept + chosen.count) { chosen.append(asset) }
        }
        return chosen
    }

    /// What was kept. May be called once.
    /// - Throws: `.protocolViolation` when the answer was no list, or not all of one.
    func list() throws(RemoteError) -> OpenTeraAssetList {
        let list = state.withLock { state -> OpenTeraAssetList? in
            defer { state.list = OpenTeraAssetList() }
            return state.splitter.isWhole && !state.isBroken ? state.list : nil
        }
        guard let list else { throw .protocolViolation }
        return list
    }
}

/// Records of a session.
struct OpenTeraAssetList: Sendable, Equatable {
    /// Those that were wanted.
    var assets: [OpenTeraAsset] = []
    /// How many there are.
    var total = 0
}
