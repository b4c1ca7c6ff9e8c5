"""The script for WeeChat, in the wheel as `otrcore.scripts.weechat`, from where `otr install` takes it."""
