internal import FXSystem
internal import Synchronization

/// Records of a session with the sizes of their files, which the main server does not know. One request brings the
/// records with their access tokens; the file service is asked in groups about those it was not asked about before.
///
/// Of a session with more files than tokens are kept for (`OpenTeraAccess.limit`) tokens are brought only when there is
/// something to ask, and so many of them at a time.
extension OpenTeraService {
    /// Those of the file service, with the names to be shown and the sizes that are known.
    func describedAssets(of session: Int64) throws(RemoteError) -> [OpenTeraAsset] {
        let service = try client.fileService().uuid
        let isLarge = access.withLock { $0.isLarge(session) }
        var list = try records(in: session, isLarge ? nil : ("with_urls", "1")) { asset, kept in
            guard asset.service == service else { return nil }
            var asset = asset
            // The same for all of them, so that it would only cost memory.
            (asset.service, asset.session) = (nil, nil)
            if kept >= OpenTeraService.tokensHeld { asset.accessToken = nil }
            return asset
        }
        if list.total <= OpenTeraAccess.limit { keepTokens(of: list.assets) }
        // In place: a second array of them would be 13 MB.
        try describe(&list.assets, in: session)
        return list.assets
    }

    /// Access tokens held for as long as a listing takes: 400 bytes each, so 10 MB.
    static let tokensHeld = 25_000
    /// Assets the file service is asked about at once: 900 KB of tokens, which it verifies in a fraction of the time
    /// in which it answers nobody else.
    static let descriptionGroup = 2000

    private func describe(_ assets: inout [OpenTeraAsset], in session: Int64) throws(RemoteError) {
        var waiting = undescribed(&assets)
        var isRenewed = false
        while !waiting.isEmpty {
            if !waiting.contains(where: { assets[$0].accessToken != nil }) {
                try bringTokens(of: waiting, to: &assets, in: session)
            }
            let ready = waiting.filter { assets[$0].accessToken != nil }
            // They were removed meanwhile.
            if ready.isEmpty { return }
            waiting.removeAll { assets[$0].accessToken != nil }
            let denied = try ask(ready, of: &assets)
            if denied.isEmpty { continue }
            // Tokens of a moment ago: the server has been started anew, or the account's rights have changed.
            if isRenewed { throw .forbidden }
            isRenewed = true
            try client.findFileService()
            for index in denied { assets[index].accessToken = nil }
            waiting += denied
        }
    }

    /// Fills in what is known; which ones have to be asked about.
    private func undescribed(_ assets: inout [OpenTeraAsset]) -> [Int] {
        let sizes = access.withLock { access in assets.map { access.size(of: $0.uuid) } }
        for (index, size) in sizes.enumerated() { assets[index].size = size }
        // Without a name of its own an asset is called after its file, which can be renamed.
        return assets.indices.filter { assets[$0].size == nil || assets[$0].name.isEmpty }
    }

    private func bringTokens(
        of waiting: [Int], to assets: inout [OpenTeraAsset], in session: Int64
    ) throws(RemoteError) {
        let wanted = Set(waiting.map { assets[$0].uuid })
        let list = try records(in: session, ("with_only_token", "1")) { asset, kept in
            kept < OpenTeraService.tokensHeld && wanted.contains(asset.uuid) ? asset : nil
        }
        if list.total <= OpenTeraAccess.limit { keepTokens(of: list.assets) }
        let tokens = Dictionary(list.assets.map { ($0.uuid, $0.accessToken) }) { first, _ in first }
        for index in waiting { assets[index].accessToken = tokens[assets[index].uuid] ?? nil }
    }

    /// Asks the file service about assets whose tokens are at hand.
    /// - Returns: those it denied to tell of, and what was not asked because of that.
    private func ask(_ ready: [Int], of assets: inout [OpenTeraAsset]) throws(RemoteError) -> ArraySlice<Int> {
        var rest = ready[...]
        while !rest.isEmpty {
            let group = rest.prefix(OpenTeraService.descriptionGroup)
            guard let files = try files(of: group.map { assets[$0] }) else { return rest }
            keepSizes(of: files)
            let found = Dictionary(files.map { ($0.uuid, $0) }) { first, _ in first }
            for index in group {
                assets[index].accessToken = nil
                guard let file = found[assets[index].uuid] else { continue }
                assets[index].name = OpenTeraAssetFile.name(assets[index], file)
                assets[index].size = file.size
            }
            rest = rest.dropFirst(group.count)
        }
        return rest
    }

    func keepSizes(of files: [OpenTeraAssetFile]) {
        access.withLock { access in
            for file in files { access.keep(size: file.size, of: file.uuid) }
        }
    }
}
