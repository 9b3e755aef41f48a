import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { Begun as _windlass_v1_Begun, Begun__Output as _windlass_v1_Begun__Output } from './windlass/v1/Begun.ts';
import type { CollectRequest as _windlass_v1_CollectRequest, CollectRequest__Output as _windlass_v1_CollectRequest__Output } from './windlass/v1/CollectRequest.ts';
import type { CollectResponse as _windlass_v1_CollectResponse, CollectResponse__Output as _windlass_v1_CollectResponse__Output } from './windlass/v1/CollectResponse.ts';
import type { CollectedImage as _windlass_v1_CollectedImage, CollectedImage__Output as _windlass_v1_CollectedImage__Output } from './windlass/v1/CollectedImage.ts';
import type { Credentials as _windlass_v1_Credentials, Credentials__Output as _windlass_v1_Credentials__Output } from './windlass/v1/Credentials.ts';
import type { Damage as _windlass_v1_Damage, Damage__Output as _windlass_v1_Damage__Output } from './windlass/v1/Damage.ts';
import type { DamagedLayer as _windlass_v1_DamagedLayer, DamagedLayer__Output as _windlass_v1_DamagedLayer__Output } from './windlass/v1/DamagedLayer.ts';
import type { DeclaredQueue as _windlass_v1_DeclaredQueue, DeclaredQueue__Output as _windlass_v1_DeclaredQueue__Output } from './windlass/v1/DeclaredQueue.ts';
import type { Descriptor as _windlass_v1_Descriptor, Descriptor__Output as _windlass_v1_Descriptor__Output } from './windlass/v1/Descriptor.ts';
import type { Difference as _windlass_v1_Difference, Difference__Output as _windlass_v1_Difference__Output } from './windlass/v1/Difference.ts';
import type { Disk as _windlass_v1_Disk, Disk__Output as _windlass_v1_Disk__Output } from './windlass/v1/Disk.ts';
import type { Document as _windlass_v1_Document, Document__Output as _windlass_v1_Document__Output } from './windlass/v1/Document.ts';
import type { Done as _windlass_v1_Done, Done__Output as _windlass_v1_Done__Output } from './windlass/v1/Done.ts';
import type { HeldThing as _windlass_v1_HeldThing, HeldThing__Output as _windlass_v1_HeldThing__Output } from './windlass/v1/HeldThing.ts';
import type { Hold as _windlass_v1_Hold, Hold__Output as _windlass_v1_Hold__Output } from './windlass/v1/Hold.ts';
import type { HoldRequest as _windlass_v1_HoldRequest, HoldRequest__Output as _windlass_v1_HoldRequest__Output } from './windlass/v1/HoldRequest.ts';
import type { HoldResponse as _windlass_v1_HoldResponse, HoldResponse__Output as _windlass_v1_HoldResponse__Output } from './windlass/v1/HoldResponse.ts';
import type { ImageLayer as _windlass_v1_ImageLayer, ImageLayer__Output as _windlass_v1_ImageLayer__Output } from './windlass/v1/ImageLayer.ts';
import type { InfoRequest as _windlass_v1_InfoRequest, InfoRequest__Output as _windlass_v1_InfoRequest__Output } from './windlass/v1/InfoRequest.ts';
import type { InfoResponse as _windlass_v1_InfoResponse, InfoResponse__Output as _windlass_v1_InfoResponse__Output } from './windlass/v1/InfoResponse.ts';
import type { InspectImageRequest as _windlass_v1_InspectImageRequest, InspectImageRequest__Output as _windlass_v1_InspectImageRequest__Output } from './windlass/v1/InspectImageRequest.ts';
import type { InspectImageResponse as _windlass_v1_InspectImageResponse, InspectImageResponse__Output as _windlass_v1_InspectImageResponse__Output } from './windlass/v1/InspectImageResponse.ts';
import type { KeptImage as _windlass_v1_KeptImage, KeptImage__Output as _windlass_v1_KeptImage__Output } from './windlass/v1/KeptImage.ts';
import type { LayerDone as _windlass_v1_LayerDone, LayerDone__Output as _windlass_v1_LayerDone__Output } from './windlass/v1/LayerDone.ts';
import type { LayerFiles as _windlass_v1_LayerFiles, LayerFiles__Output as _windlass_v1_LayerFiles__Output } from './windlass/v1/LayerFiles.ts';
import type { LayerInFlight as _windlass_v1_LayerInFlight, LayerInFlight__Output as _windlass_v1_LayerInFlight__Output } from './windlass/v1/LayerInFlight.ts';
import type { LayerToVerify as _windlass_v1_LayerToVerify, LayerToVerify__Output as _windlass_v1_LayerToVerify__Output } from './windlass/v1/LayerToVerify.ts';
import type { ListDamagedRequest as _windlass_v1_ListDamagedRequest, ListDamagedRequest__Output as _windlass_v1_ListDamagedRequest__Output } from './windlass/v1/ListDamagedRequest.ts';
import type { ListDamagedResponse as _windlass_v1_ListDamagedResponse, ListDamagedResponse__Output as _windlass_v1_ListDamagedResponse__Output } from './windlass/v1/ListDamagedResponse.ts';
import type { ListHistoryRequest as _windlass_v1_ListHistoryRequest, ListHistoryRequest__Output as _windlass_v1_ListHistoryRequest__Output } from './windlass/v1/ListHistoryRequest.ts';
import type { ListHistoryResponse as _windlass_v1_ListHistoryResponse, ListHistoryResponse__Output as _windlass_v1_ListHistoryResponse__Output } from './windlass/v1/ListHistoryResponse.ts';
import type { ListPlatformsRequest as _windlass_v1_ListPlatformsRequest, ListPlatformsRequest__Output as _windlass_v1_ListPlatformsRequest__Output } from './windlass/v1/ListPlatformsRequest.ts';
import type { ListPlatformsResponse as _windlass_v1_ListPlatformsResponse, ListPlatformsResponse__Output as _windlass_v1_ListPlatformsResponse__Output } from './windlass/v1/ListPlatformsResponse.ts';
import type { ListPullsRequest as _windlass_v1_ListPullsRequest, ListPullsRequest__Output as _windlass_v1_ListPullsRequest__Output } from './windlass/v1/ListPullsRequest.ts';
import type { ListPullsResponse as _windlass_v1_ListPullsResponse, ListPullsResponse__Output as _windlass_v1_ListPullsResponse__Output } from './windlass/v1/ListPullsResponse.ts';
import type { ListQueueRequest as _windlass_v1_ListQueueRequest, ListQueueRequest__Output as _windlass_v1_ListQueueRequest__Output } from './windlass/v1/ListQueueRequest.ts';
import type { ListQueueResponse as _windlass_v1_ListQueueResponse, ListQueueResponse__Output as _windlass_v1_ListQueueResponse__Output } from './windlass/v1/ListQueueResponse.ts';
import type { ListStaleRequest as _windlass_v1_ListStaleRequest, ListStaleRequest__Output as _windlass_v1_ListStaleRequest__Output } from './windlass/v1/ListStaleRequest.ts';
import type { ListStaleResponse as _windlass_v1_ListStaleResponse, ListStaleResponse__Output as _windlass_v1_ListStaleResponse__Output } from './windlass/v1/ListStaleResponse.ts';
import type { LoadRequest as _windlass_v1_LoadRequest, LoadRequest__Output as _windlass_v1_LoadRequest__Output } from './windlass/v1/LoadRequest.ts';
import type { LoadResponse as _windlass_v1_LoadResponse, LoadResponse__Output as _windlass_v1_LoadResponse__Output } from './windlass/v1/LoadResponse.ts';
import type { LoadStart as _windlass_v1_LoadStart, LoadStart__Output as _windlass_v1_LoadStart__Output } from './windlass/v1/LoadStart.ts';
import type { LookUpRequest as _windlass_v1_LookUpRequest, LookUpRequest__Output as _windlass_v1_LookUpRequest__Output } from './windlass/v1/LookUpRequest.ts';
import type { LookUpResponse as _windlass_v1_LookUpResponse, LookUpResponse__Output as _windlass_v1_LookUpResponse__Output } from './windlass/v1/LookUpResponse.ts';
import type { OfferedPlatform as _windlass_v1_OfferedPlatform, OfferedPlatform__Output as _windlass_v1_OfferedPlatform__Output } from './windlass/v1/OfferedPlatform.ts';
import type { Passthrough as _windlass_v1_Passthrough, Passthrough__Output as _windlass_v1_Passthrough__Output } from './windlass/v1/Passthrough.ts';
import type { Piece as _windlass_v1_Piece, Piece__Output as _windlass_v1_Piece__Output } from './windlass/v1/Piece.ts';
import type { Pin as _windlass_v1_Pin, Pin__Output as _windlass_v1_Pin__Output } from './windlass/v1/Pin.ts';
import type { PinRequest as _windlass_v1_PinRequest, PinRequest__Output as _windlass_v1_PinRequest__Output } from './windlass/v1/PinRequest.ts';
import type { PinResponse as _windlass_v1_PinResponse, PinResponse__Output as _windlass_v1_PinResponse__Output } from './windlass/v1/PinResponse.ts';
import type { Plan as _windlass_v1_Plan, Plan__Output as _windlass_v1_Plan__Output } from './windlass/v1/Plan.ts';
import type { PlanRequest as _windlass_v1_PlanRequest, PlanRequest__Output as _windlass_v1_PlanRequest__Output } from './windlass/v1/PlanRequest.ts';
import type { PlanResponse as _windlass_v1_PlanResponse, PlanResponse__Output as _windlass_v1_PlanResponse__Output } from './windlass/v1/PlanResponse.ts';
import type { Planned as _windlass_v1_Planned, Planned__Output as _windlass_v1_Planned__Output } from './windlass/v1/Planned.ts';
import type { PlannedLayer as _windlass_v1_PlannedLayer, PlannedLayer__Output as _windlass_v1_PlannedLayer__Output } from './windlass/v1/PlannedLayer.ts';
import type { Progress as _windlass_v1_Progress, Progress__Output as _windlass_v1_Progress__Output } from './windlass/v1/Progress.ts';
import type { PullEvent as _windlass_v1_PullEvent, PullEvent__Output as _windlass_v1_PullEvent__Output } from './windlass/v1/PullEvent.ts';
import type { PullInFlight as _windlass_v1_PullInFlight, PullInFlight__Output as _windlass_v1_PullInFlight__Output } from './windlass/v1/PullInFlight.ts';
import type { PullReport as _windlass_v1_PullReport, PullReport__Output as _windlass_v1_PullReport__Output } from './windlass/v1/PullReport.ts';
import type { PullRequest as _windlass_v1_PullRequest, PullRequest__Output as _windlass_v1_PullRequest__Output } from './windlass/v1/PullRequest.ts';
import type { QueuedImage as _windlass_v1_QueuedImage, QueuedImage__Output as _windlass_v1_QueuedImage__Output } from './windlass/v1/QueuedImage.ts';
import type { Receipt as _windlass_v1_Receipt, Receipt__Output as _windlass_v1_Receipt__Output } from './windlass/v1/Receipt.ts';
import type { RemoveImageRequest as _windlass_v1_RemoveImageRequest, RemoveImageRequest__Output as _windlass_v1_RemoveImageRequest__Output } from './windlass/v1/RemoveImageRequest.ts';
import type { RemoveImageResponse as _windlass_v1_RemoveImageResponse, RemoveImageResponse__Output as _windlass_v1_RemoveImageResponse__Output } from './windlass/v1/RemoveImageResponse.ts';
import type { RepairFailed as _windlass_v1_RepairFailed, RepairFailed__Output as _windlass_v1_RepairFailed__Output } from './windlass/v1/RepairFailed.ts';
import type { Repairing as _windlass_v1_Repairing, Repairing__Output as _windlass_v1_Repairing__Output } from './windlass/v1/Repairing.ts';
import type { ReportedLayer as _windlass_v1_ReportedLayer, ReportedLayer__Output as _windlass_v1_ReportedLayer__Output } from './windlass/v1/ReportedLayer.ts';
import type { Resolved as _windlass_v1_Resolved, Resolved__Output as _windlass_v1_Resolved__Output } from './windlass/v1/Resolved.ts';
import type { Room as _windlass_v1_Room, Room__Output as _windlass_v1_Room__Output } from './windlass/v1/Room.ts';
import type { Runtime as _windlass_v1_Runtime, Runtime__Output as _windlass_v1_Runtime__Output } from './windlass/v1/Runtime.ts';
import type { Sealed as _windlass_v1_Sealed, Sealed__Output as _windlass_v1_Sealed__Output } from './windlass/v1/Sealed.ts';
import type { SetPassthroughRequest as _windlass_v1_SetPassthroughRequest, SetPassthroughRequest__Output as _windlass_v1_SetPassthroughRequest__Output } from './windlass/v1/SetPassthroughRequest.ts';
import type { SetPassthroughResponse as _windlass_v1_SetPassthroughResponse, SetPassthroughResponse__Output as _windlass_v1_SetPassthroughResponse__Output } from './windlass/v1/SetPassthroughResponse.ts';
import type { StaleTag as _windlass_v1_StaleTag, StaleTag__Output as _windlass_v1_StaleTag__Output } from './windlass/v1/StaleTag.ts';
import type { Stopped as _windlass_v1_Stopped, Stopped__Output as _windlass_v1_Stopped__Output } from './windlass/v1/Stopped.ts';
import type { UnfinishedLayer as _windlass_v1_UnfinishedLayer, UnfinishedLayer__Output as _windlass_v1_UnfinishedLayer__Output } from './windlass/v1/UnfinishedLayer.ts';
import type { UnpinRequest as _windlass_v1_UnpinRequest, UnpinRequest__Output as _windlass_v1_UnpinRequest__Output } from './windlass/v1/UnpinRequest.ts';
import type { VerifiedLayer as _windlass_v1_VerifiedLayer, VerifiedLayer__Output as _windlass_v1_VerifiedLayer__Output } from './windlass/v1/VerifiedLayer.ts';
import type { VerifyDone as _windlass_v1_VerifyDone, VerifyDone__Output as _windlass_v1_VerifyDone__Output } from './windlass/v1/VerifyDone.ts';
import type { VerifyEvent as _windlass_v1_VerifyEvent, VerifyEvent__Output as _windlass_v1_VerifyEvent__Output } from './windlass/v1/VerifyEvent.ts';
import type { VerifyPlanned as _windlass_v1_VerifyPlanned, VerifyPlanned__Output as _windlass_v1_VerifyPlanned__Output } from './windlass/v1/VerifyPlanned.ts';
import type { VerifyProgress as _windlass_v1_VerifyProgress, VerifyProgress__Output as _windlass_v1_VerifyProgress__Output } from './windlass/v1/VerifyProgress.ts';
import type { VerifyRequest as _windlass_v1_VerifyRequest, VerifyRequest__Output as _windlass_v1_VerifyRequest__Output } from './windlass/v1/VerifyRequest.ts';
import type { Wanted as _windlass_v1_Wanted, Wanted__Output as _windlass_v1_Wanted__Output } from './windlass/v1/Wanted.ts';
import type { WhyRequest as _windlass_v1_WhyRequest, WhyRequest__Output as _windlass_v1_WhyRequest__Output } from './windlass/v1/WhyRequest.ts';
import type { WhyResponse as _windlass_v1_WhyResponse, WhyResponse__Output as _windlass_v1_WhyResponse__Output } from './windlass/v1/WhyResponse.ts';
import type { WindlassClient as _windlass_v1_WindlassClient, WindlassDefinition as _windlass_v1_WindlassDefinition } from './windlass/v1/Windlass.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  windlass: {
    v1: {
      Begun: MessageTypeDefinition<_windlass_v1_Begun, _windlass_v1_Begun__Output>
      CollectRequest: MessageTypeDefinition<_windlass_v1_CollectRequest, _windlass_v1_CollectRequest__Output>
      CollectResponse: MessageTypeDefinition<_windlass_v1_CollectResponse, _windlass_v1_CollectResponse__Output>
      CollectedImage: MessageTypeDefinition<_windlass_v1_CollectedImage, _windlass_v1_CollectedImage__Output>
      Credentials: MessageTypeDefinition<_windlass_v1_Credentials, _windlass_v1_Credentials__Output>
      Damage: MessageTypeDefinition<_windlass_v1_Damage, _windlass_v1_Damage__Output>
      DamagedLayer: MessageTypeDefinition<_windlass_v1_DamagedLayer, _windlass_v1_DamagedLayer__Output>
      DeclaredQueue: MessageTypeDefinition<_windlass_v1_DeclaredQueue, _windlass_v1_DeclaredQueue__Output>
      Descriptor: MessageTypeDefinition<_windlass_v1_Descriptor, _windlass_v1_Descriptor__Output>
      Difference: MessageTypeDefinition<_windlass_v1_Difference, _windlass_v1_Difference__Output>
      Disk: MessageTypeDefinition<_windlass_v1_Disk, _windlass_v1_Disk__Output>
      Document: MessageTypeDefinition<_windlass_v1_Document, _windlass_v1_Document__Output>
      Done: MessageTypeDefinition<_windlass_v1_Done, _windlass_v1_Done__Output>
      HeldThing: MessageTypeDefinition<_windlass_v1_HeldThing, _windlass_v1_HeldThing__Output>
      Hold: MessageTypeDefinition<_windlass_v1_Hold, _windlass_v1_Hold__Output>
      HoldRequest: MessageTypeDefinition<_windlass_v1_HoldRequest, _windlass_v1_HoldRequest__Output>
      HoldResponse: MessageTypeDefinition<_windlass_v1_HoldResponse, _windlass_v1_HoldResponse__Output>
      ImageLayer: MessageTypeDefinition<_windlass_v1_ImageLayer, _windlass_v1_ImageLayer__Output>
      InfoRequest: MessageTypeDefinition<_windlass_v1_InfoRequest, _windlass_v1_InfoRequest__Output>
      InfoResponse: MessageTypeDefinition<_windlass_v1_InfoResponse, _windlass_v1_InfoResponse__Output>
      InspectImageRequest: MessageTypeDefinition<_windlass_v1_InspectImageRequest, _windlass_v1_InspectImageRequest__Output>
      InspectImageResponse: MessageTypeDefinition<_windlass_v1_InspectImageResponse, _windlass_v1_InspectImageResponse__Output>
      KeptImage: MessageTypeDefinition<_windlass_v1_KeptImage, _windlass_v1_KeptImage__Output>
      LayerDone: MessageTypeDefinition<_windlass_v1_LayerDone, _windlass_v1_LayerDone__Output>
      LayerFiles: MessageTypeDefinition<_windlass_v1_LayerFiles, _windlass_v1_LayerFiles__Output>
      LayerInFlight: MessageTypeDefinition<_windlass_v1_LayerInFlight, _windlass_v1_LayerInFlight__Output>
      LayerToVerify: MessageTypeDefinition<_windlass_v1_LayerToVerify, _windlass_v1_LayerToVerify__Output>
      ListDamagedRequest: MessageTypeDefinition<_windlass_v1_ListDamagedRequest, _windlass_v1_ListDamagedRequest__Output>
      ListDamagedResponse: MessageTypeDefinition<_windlass_v1_ListDamagedResponse, _windlass_v1_ListDamagedResponse__Output>
      ListHistoryRequest: MessageTypeDefinition<_windlass_v1_ListHistoryRequest, _windlass_v1_ListHistoryRequest__Output>
      ListHistoryResponse: MessageTypeDefinition<_windlass_v1_ListHistoryResponse, _windlass_v1_ListHistoryResponse__Output>
      ListPlatformsRequest: MessageTypeDefinition<_windlass_v1_ListPlatformsRequest, _windlass_v1_ListPlatformsRequest__Output>
      ListPlatformsResponse: MessageTypeDefinition<_windlass_v1_ListPlatformsResponse, _windlass_v1_ListPlatformsResponse__Output>
      ListPullsRequest: MessageTypeDefinition<_windlass_v1_ListPullsRequest, _windlass_v1_ListPullsRequest__Output>
      ListPullsResponse: MessageTypeDefinition<_windlass_v1_ListPullsResponse, _windlass_v1_ListPullsResponse__Output>
      ListQueueRequest: MessageTypeDefinition<_windlass_v1_ListQueueRequest, _windlass_v1_ListQueueRequest__Output>
      ListQueueResponse: MessageTypeDefinition<_windlass_v1_ListQueueResponse, _windlass_v1_ListQueueResponse__Output>
      ListStaleRequest: MessageTypeDefinition<_windlass_v1_ListStaleRequest, _windlass_v1_ListStaleRequest__Output>
      ListStaleResponse: MessageTypeDefinition<_windlass_v1_ListStaleResponse, _windlass_v1_ListStaleResponse__Output>
      LoadRequest: MessageTypeDefinition<_windlass_v1_LoadRequest, _windlass_v1_LoadRequest__Output>
      LoadResponse: MessageTypeDefinition<_windlass_v1_LoadResponse, _windlass_v1_LoadResponse__Output>
      LoadStart: MessageTypeDefinition<_windlass_v1_LoadStart, _windlass_v1_LoadStart__Output>
      LookUpRequest: MessageTypeDefinition<_windlass_v1_LookUpRequest, _windlass_v1_LookUpRequest__Output>
      LookUpResponse: MessageTypeDefinition<_windlass_v1_LookUpResponse, _windlass_v1_LookUpResponse__Output>
      OfferedPlatform: MessageTypeDefinition<_windlass_v1_OfferedPlatform, _windlass_v1_OfferedPlatform__Output>
      Passthrough: MessageTypeDefinition<_windlass_v1_Passthrough, _windlass_v1_Passthrough__Output>
      Piece: MessageTypeDefinition<_windlass_v1_Piece, _windlass_v1_Piece__Output>
      Pin: MessageTypeDefinition<_windlass_v1_Pin, _windlass_v1_Pin__Output>
      PinRequest: MessageTypeDefinition<_windlass_v1_PinRequest, _windlass_v1_PinRequest__Output>
      PinResponse: MessageTypeDefinition<_windlass_v1_PinResponse, _windlass_v1_PinResponse__Output>
      Plan: MessageTypeDefinition<_windlass_v1_Plan, _windlass_v1_Plan__Output>
      PlanRequest: MessageTypeDefinition<_windlass_v1_PlanRequest, _windlass_v1_PlanRequest__Output>
      PlanResponse: MessageTypeDefinition<_windlass_v1_PlanResponse, _windlass_v1_PlanResponse__Output>
      Planned: MessageTypeDefinition<_windlass_v1_Planned, _windlass_v1_Planned__Output>
      PlannedLayer: MessageTypeDefinition<_windlass_v1_PlannedLayer, _windlass_v1_PlannedLayer__Output>
      Progress: MessageTypeDefinition<_windlass_v1_Progress, _windlass_v1_Progress__Output>
      PullEvent: MessageTypeDefinition<_windlass_v1_PullEvent, _windlass_v1_PullEvent__Output>
      PullInFlight: MessageTypeDefinition<_windlass_v1_PullInFlight, _windlass_v1_PullInFlight__Output>
      PullReport: MessageTypeDefinition<_windlass_v1_PullReport, _windlass_v1_PullReport__Output>
      PullRequest: MessageTypeDefinition<_windlass_v1_PullRequest, _windlass_v1_PullRequest__Output>
      QueuedImage: MessageTypeDefinition<_windlass_v1_QueuedImage, _windlass_v1_QueuedImage__Output>
      Receipt: MessageTypeDefinition<_windlass_v1_Receipt, _windlass_v1_Receipt__Output>
      RemoveImageRequest: MessageTypeDefinition<_windlass_v1_RemoveImageRequest, _windlass_v1_RemoveImageRequest__Output>
      RemoveImageResponse: MessageTypeDefinition<_windlass_v1_RemoveImageResponse, _windlass_v1_RemoveImageResponse__Output>
      RepairFailed: MessageTypeDefinition<_windlass_v1_RepairFailed, _windlass_v1_RepairFailed__Output>
      Repairing: MessageTypeDefinition<_windlass_v1_Repairing, _windlass_v1_Repairing__Output>
      ReportedLayer: MessageTypeDefinition<_windlass_v1_ReportedLayer, _windlass_v1_ReportedLayer__Output>
      Resolved: MessageTypeDefinition<_windlass_v1_Resolved, _windlass_v1_Resolved__Output>
      Room: MessageTypeDefinition<_windlass_v1_Room, _windlass_v1_Room__Output>
      Runtime: MessageTypeDefinition<_windlass_v1_Runtime, _windlass_v1_Runtime__Output>
      Sealed: MessageTypeDefinition<_windlass_v1_Sealed, _windlass_v1_Sealed__Output>
      SetPassthroughRequest: MessageTypeDefinition<_windlass_v1_SetPassthroughRequest, _windlass_v1_SetPassthroughRequest__Output>
      SetPassthroughResponse: MessageTypeDefinition<_windlass_v1_SetPassthroughResponse, _windlass_v1_SetPassthroughResponse__Output>
      StaleTag: MessageTypeDefinition<_windlass_v1_StaleTag, _windlass_v1_StaleTag__Output>
      Stopped: MessageTypeDefinition<_windlass_v1_Stopped, _windlass_v1_Stopped__Output>
      UnfinishedLayer: MessageTypeDefinition<_windlass_v1_UnfinishedLayer, _windlass_v1_UnfinishedLayer__Output>
      UnpinRequest: MessageTypeDefinition<_windlass_v1_UnpinRequest, _windlass_v1_UnpinRequest__Output>
      VerifiedLayer: MessageTypeDefinition<_windlass_v1_VerifiedLayer, _windlass_v1_VerifiedLayer__Output>
      VerifyDone: MessageTypeDefinition<_windlass_v1_VerifyDone, _windlass_v1_VerifyDone__Output>
      VerifyEvent: MessageTypeDefinition<_windlass_v1_VerifyEvent, _windlass_v1_VerifyEvent__Output>
      VerifyPlanned: MessageTypeDefinition<_windlass_v1_VerifyPlanned, _windlass_v1_VerifyPlanned__Output>
      VerifyProgress: MessageTypeDefinition<_windlass_v1_VerifyProgress, _windlass_v1_VerifyProgress__Output>
      VerifyRequest: MessageTypeDefinition<_windlass_v1_VerifyRequest, _windlass_v1_VerifyRequest__Output>
      Wanted: MessageTypeDefinition<_windlass_v1_Wanted, _windlass_v1_Wanted__Output>
      WhyRequest: MessageTypeDefinition<_windlass_v1_WhyRequest, _windlass_v1_WhyRequest__Output>
      WhyResponse: MessageTypeDefinition<_windlass_v1_WhyResponse, _windlass_v1_WhyResponse__Output>
      Windlass: SubtypeConstructor<typeof grpc.Client, _windlass_v1_WindlassClient> & { service: _windlass_v1_WindlassDefinition }
    }
  }
}

