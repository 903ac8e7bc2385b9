import FXSystem

/// Asset records of MAIN: `opentera.md`, 5.7.
extension OpenTeraState {
    func listAssets(_ call: Call, _ user: User) throws(Refusal) -> Answer {
        let arguments = Arguments(call)
        let requester = Requester.user(user.id)
        if let session = try arguments.id("id_session") {
            guard let record = sessions[session], mayRead(record, user) else {
                throw Refusal(.text(403, "Session access denied"))
            }
            return try assetList(assets(of: session), arguments, requester)
        }
        if let uuid = arguments["asset_uuid"] {
            guard let asset = asset(uuid: uuid), !asset.isDeleted else { throw Refusal(.internalError) }
            return try assetList(visible([asset], to: user), arguments, requester)
        }
        let number = try arguments.id("id_asset")
        let participant = try arguments.id("id_participant")
        let owner = try arguments.id("id_user")
        let device = try arguments.id("id_device")
        let service = arguments["service_uuid"]
        guard number != nil || participant != nil || owner != nil || device != nil || service != nil else {
            throw Refusal(.text(400, "No arguments specified"))
        }
        let found = assets.rows.filter { asset in
            !asset.isDeleted && (number == nil || asset.id == number)
                && (participant == nil || asset.participant == participant) && (owner == nil || asset.user == owner)
                && (device == nil || asset.device == device) && (service == nil || asset.service == service)
        }
        return try assetList(visible(found, to: user), arguments, requester)
    }

    private func visible(_ assets: [AssetRecord], to user: User) -> [AssetRecord] {
        assets.filter { asset in sessions[asset.session].map { mayRead($0, user) } ?? false }
    }

    func assetList(
        _ found: [AssetRecord], _ arguments: Arguments, _ requester: Requester, isFull: Bool = false
    ) throws(Refusal) -> Answer {
        let isFull = isFull ? true : try arguments.flag("full")
        let withURLs = try arguments.flag("with_urls")
        let onlyToken = try arguments.flag("with_only_token")
        return .json(
            200,
            .array(
                found.map { asset in
                    if onlyToken {
                        let members: [JSONValue.Member] = [
                            .init("asset_uuid", .string(asset.uuid)),
                            .init("access_token", .string(accessToken(asset, for: requester))),
                        ]
                        return .object(withURLs ? members + urlMembers(asset) : members)
                    }
                    var members = assetMembers(asset, isFull: isFull)
                    if withURLs {
                        members.append(.init("access_token", .string(accessToken(asset, for: requester))))
                        members += urlMembers(asset)
                    }
                    return .object(members)
                }))
    }

    func assetMembers(_ asset: AssetRecord, isFull: Bool) -> [JSONValue.Member] {
        var members: [JSONValue.Member] = [
            .init("asset_datetime", .moment(asset.datetime)),
            .init("asset_expiration_datetime", .moment(asset.expiration)),
            .init("asset_name", .string(asset.name)), .init("asset_service_uuid", .string(asset.service)),
            .init("asset_type", .string(asset.type)), .init("asset_uuid", .string(asset.uuid)),
            .init("id_asset", .number(of: asset.id)), .init("id_device", .number(of: asset.device)),
            .init("id_participant", .number(of: asset.participant)), .init("id_service", .null),
            .init("id_session", .number(of: asset.session)), .init("id_user", .number(of: asset.user)),
        ]
        guard isFull else { return members }
        members.append(
            .init("asset_service_owner_name", .text(services.first { $0.uuid == asset.service }?.name)))
        members.append(.init("asset_session_name", .text(sessions[asset.session]?.name)))
        if let user = asset.user.flatMap({ users[$0] }) { members.append(.init("asset_user", .string(user.name))) }
        if let one = asset.participant.flatMap({ participants[$0] }) {
            members.append(.init("asset_participant", .string(one.name)))
        }
        if let device = asset.device.flatMap({ devices[$0] }) {
            members.append(.init("asset_device", .string(device.name)))
        }
        return members
    }

    /// Host and port are the configured ones, whatever the client asked; the path of another service is odd.
    func urlMembers(_ asset: AssetRecord) -> [JSONValue.Member] {
        guard let service = services.first({ $0.uuid == asset.service }) else {
            return [.init("asset_infos_url", .null), .init("asset_url", .null)]
        }
        let host = settings.direct ? "127.0.0.1:4042" : settings.serverName
        let base = "https://\(host)\(service.clientEndpoint)/api/assets"
        return [.init("asset_infos_url", .string(base + "/infos")), .init("asset_url", .string(base))]
    }
}
