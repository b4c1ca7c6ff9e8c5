"""The addon for HexChat, in the wheel as `otrcore.scripts.hexchat`, from where `otr install` takes it."""
